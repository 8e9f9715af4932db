"""Put in Debian's redis-server, which the tests hold the queue to beside the bundled Valkey.

Only where root and apt-get are; elsewhere it says so, and those tests are skipped. It never fails,
and starts no service.
"""

from __future__ import annotations

import os
import shutil
import subprocess

PATIENCE_S = 180
INSTALL = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "redis-server"]
NO_SERVICE = {"RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
"""In run level 1 a package's service is left alone."""


def main() -> None:
    """Install it if it is not there."""
    if shutil.which("redis-server"):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print("There is no redis-server, and only root can put it in: its tests are skipped.")
        return
    print("Putting in redis-server for the tests", flush=True)
    if not all(map(_succeeds, (["apt-get", "update", "-q"], INSTALL))):
        print("redis-server cannot be put in: its tests are skipped.")


def _succeeds(command: list[str]) -> bool:
    environment = {**os.environ, **NO_SERVICE}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    main()

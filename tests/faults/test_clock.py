"""A worker whose clock jumps by an hour, forth and back, while it runs a job; about 15 seconds."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.invariants import watched
from tests.faults.stack import LEASE_S, Stack, started
from tunery_server.records.rows import JobStatus

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]

LIBRARY = "libfaketimeMT.so.1"


@pytest.fixture(scope="session")
def faketime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's libfaketime: the installed one, else unpacked for these tests alone."""
    installed = sorted(Path("/usr/lib").glob(f"*/faketime/{LIBRARY}"))
    return installed[0] if installed else unpacked(tmp_path_factory.mktemp("faketime"))


def unpacked(folder: Path) -> Path:
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if os.geteuid() != 0 or apt is None or dpkg is None:
        pytest.skip("there is no libfaketime (Debian: apt-get install faketime)")
    download = [apt, "download", "-q", "libfaketime"]
    if subprocess.run(download, cwd=folder, check=False, capture_output=True).returncode != 0:
        pytest.skip("there is no libfaketime, and it cannot be downloaded")
    [package] = folder.glob("*.deb")
    subprocess.run([dpkg, "-x", package, folder], check=True)
    [library] = folder.rglob(LIBRARY)
    return library


@pytest.fixture
def stack(tmp_path: Path, tiny_model: Path) -> Iterator[Stack]:
    with started(tmp_path / "home", tiny_model) as stack:
        yield stack


@pytest.mark.long
@pytest.mark.promise("P28", fault="a worker's clock jumps by +1 h, then by -2 h, amid a job")
def test_the_lease_is_kept_and_nothing_lasts_less_than_no_time(
    stack: Stack, faketime: Path, tmp_path: Path
) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0")
    stack.environment.update(
        LD_PRELOAD=str(faketime),
        FAKETIME_TIMESTAMP_FILE=str(offset),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    worker = stack.another_worker()
    worker.start()
    job = stack.at_step(stack.submit(n_epochs=50).id)
    for jump in ("+3600", "-3600"):
        offset.write_text(jump)
        time.sleep(LEASE_S / 2)
    done = watched(stack, job.id)
    assert (done.status, done.attempt, done.losses) == (JobStatus.SUCCEEDED, 1, 0)
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.created_at <= done.started_at <= done.finished_at
    invariants.hold(stack, done)
    events = stack.history.events(job.id, after=None, limit=10_000)
    told = [event.created_at for event in events.items]
    assert max(told) - min(told) > 3600, "the clock did not jump: this shows nothing"

"""What /openapi.json says is what a live gateway does, whatever is sent to it."""

import json
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from .known import put as known_objects
from .live import Live

CONFIG = Path(__file__).with_name("schemathesis.toml")
LIMIT_S = 840


@pytest.mark.timeout(900)
def test_every_operation_does_what_the_document_says(live: Live, tmp_path: Path) -> None:
    _write_inputs(live, tmp_path)
    command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", live.url]
    command += ["--checks", "all", "--report", "json", "--report-json-path", "report.json"]
    ran = subprocess.run(
        command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert ran.returncode == 0, ran.stdout[-20_000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["complete"]
    assert report["operations"]["tested"] == report["operations"]["total"] > 20
    unreached = {
        operation
        for operation, phases in report["valid_rates"].items()
        if not any(phase["accepted"] for phase in phases.values())
    }
    assert not unreached


def _write_inputs(live: Live, folder: Path) -> None:
    """The configuration, the two tenants' keys, and the document as it is served."""
    known = known_objects(live.gateway, f"{live.url}/livez")
    dictionaries = [f"{name}.values = {json.dumps(ids)}\n" for name, ids in known.items()]
    text = CONFIG.read_text() + "\n[dictionaries]\n" + "".join(dictionaries)
    (folder / CONFIG.name).write_text(text)
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}]}
        for name, key in live.keys.items()
    ]
    (folder / "users.json").write_text(json.dumps({"auth": users}))
    headers = {"Authorization": f"Bearer {live.gateway.key}"}
    document = httpx2.get(f"{live.url}/openapi.json", headers=headers)
    (folder / "openapi.json").write_bytes(document.content)

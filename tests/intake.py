"""What checks a wish for a job, on a real record, by default with no base model to measure."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.surveys import Surveyor
from tunery_adapters.base_model import BaseModel
from tunery_server.jobs.fit import Fit
from tunery_server.jobs.hardware import Hardware
from tunery_server.jobs.intake import Intake
from tunery_server.jobs.lineage import Lineage
from tunery_server.jobs.surveys import Surveys
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords

HARDWARE = Hardware("cpu", 2, 1)


def an_intake(
    database: Database,
    *,
    clock: Callable[[], float] = time.time,
    surveys: Surveys | None = None,
    fit: Fit | None = None,
) -> Intake:
    nowhere = BaseModel("owner/name")
    return Intake(
        files=FileRecords(database),
        lineage=Lineage(base_model="base", adapters=AdapterRecords(database)),
        surveys=surveys or Surveys(ask=Surveyor(), base=nowhere, path=Path, max_length=64),
        fit=fit or Fit(base=nowhere, hardware=HARDWARE, largest_machine=lambda: None),
        max_lora_rank=16,
        clock=clock,
    )

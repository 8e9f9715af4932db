"""From a wish to a job: which rows a method takes, what a validation file decides, and beta."""

from typing import Any

import pytest

from tests.intake import an_intake
from tests.rows import NOW, a_file, an_adapter
from tunery_adapters.spec import EarlyStopping, EvaluationSpec, LoraSpec
from tunery_server.errors import InvalidRequest
from tunery_server.jobs.intake import Intake
from tunery_server.jobs.request import AUTO_BETA, JobRequest
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.rows import JobMethod

FORMATS = ("chat", "completion", "text", "preference")
PARENT = an_adapter(rank=4, alpha=8.0, target_modules=("k_proj", "q_proj"))
WIDE = an_adapter(rank=32)


@pytest.fixture
def intake(database: Database) -> Intake:
    files = FileRecords(database)
    for format in FORMATS:
        files.add(a_file(id=f"file-{format}", format=format))
    files.add(a_file(id="file-old", format=None))
    adapters = AdapterRecords(database)
    for adapter in (PARENT, WIDE):
        adapters.add(adapter)
    return an_intake(database, clock=lambda: NOW)


def request(**values: Any) -> JobRequest:
    return JobRequest(**{"model": "base", "training_file": "file-chat", **values})


def refused(intake: Intake, **values: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        intake.job("acme", request(**values))
    return raised.value


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("method", JobMethod)
def test_a_method_takes_the_rows_that_it_can_learn_from(
    intake: Intake, method: JobMethod, format: str
) -> None:
    wish = {"method": method, "training_file": f"file-{format}"}
    if (format == "preference") is (method is JobMethod.DPO):
        job = intake.job("acme", request(**wish))
        assert job.method is method
        return
    error = refused(intake, **wish)
    assert error.param == "method.type"
    assert f"'{method}' trains on" in error.message
    assert f"'{format}' rows" in error.message


def test_a_file_whose_record_says_no_format_is_of_chats(intake: Intake) -> None:
    job = intake.job("acme", request(training_file="file-old", validation_file="file-chat"))
    assert job.method is JobMethod.SUPERVISED


@pytest.mark.parametrize(("given", "beta"), [(None, AUTO_BETA), (0.5, 0.5)])
def test_beta_is_resolved_for_dpo_alone(intake: Intake, given: float | None, beta: float) -> None:
    wish = request(method=JobMethod.DPO, training_file="file-preference", beta=given)
    assert intake.job("acme", wish).hyperparameters["beta"] == beta
    assert "beta" not in intake.job("acme", request()).hyperparameters


def test_both_files_have_to_be_of_one_format(intake: Intake) -> None:
    error = refused(intake, validation_file="file-text")
    assert (error.code, error.param) == ("invalid_file", "validation_file")
    assert "'text' rows" in error.message
    assert "'chat' rows" in error.message


SELECTION: dict[str, EvaluationSpec] = {
    "eval_every": EvaluationSpec(eval_every=5),
    "early_stopping": EvaluationSpec(early_stopping=EarlyStopping()),
    "keep": EvaluationSpec(keep="best"),
}


@pytest.mark.parametrize(("name", "training"), SELECTION.items())
def test_what_a_validation_file_decides_needs_one(
    intake: Intake, name: str, training: EvaluationSpec
) -> None:
    error = refused(intake, training=training)
    assert error.param == f"training.{name}"
    assert "validation_file" in error.message
    job = intake.job("acme", request(training=training, validation_file="file-chat"))
    assert job.training is not None
    assert EvaluationSpec.model_validate(job.training) == training


def test_the_last_step_is_kept_without_one(intake: Intake) -> None:
    job = intake.job("acme", request(training=EvaluationSpec(keep="last")))
    assert job.training == {"eval_every": None, "early_stopping": None, "keep": "last"}


def test_a_job_that_goes_on_has_its_parents_shape_and_the_base_as_its_model(
    intake: Intake,
) -> None:
    wish = request(model=PARENT.model, lora=LoraSpec(quantization="nf4", dropout=0.1))
    job = intake.job("acme", wish)
    assert (job.model, job.parent) == ("base", PARENT.model)
    assert job.lora == {
        "rank": 4,
        "alpha": 8.0,
        "target_modules": ["k_proj", "q_proj"],
        "quantization": "nf4",
        "dropout": 0.1,
    }
    assert intake.job("acme", request()).parent is None


def test_a_parent_that_the_engine_could_not_serve_anew_is_refused(intake: Intake) -> None:
    error = refused(intake, model=WIDE.model)
    assert (error.code, error.param) == ("integer_above_max_value", "lora.rank")

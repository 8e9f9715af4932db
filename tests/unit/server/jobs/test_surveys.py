"""Files are looked at once, and what a look says is passed on."""

from pathlib import Path

import pytest

from tests.rows import a_file
from tests.surveys import Surveyor, a_survey
from tunery_adapters.base_model import BaseModel
from tunery_adapters.survey import Refused, ShownRow
from tunery_server.errors import EngineUnavailable, InvalidRequest
from tunery_server.jobs.surveys import Surveys

FILE = a_file(id="file-a", sha256="a", format="text")


@pytest.fixture
def surveyor() -> Surveyor:
    return Surveyor()


@pytest.fixture
def surveys(surveyor: Surveyor, tmp_path: Path) -> Surveys:
    base = BaseModel(str(tmp_path))
    return Surveys(ask=surveyor, base=base, path=lambda name: Path("/files") / name, max_length=512)


async def test_a_content_is_counted_once(surveys: Surveys, surveyor: Surveyor) -> None:
    assert await surveys.survey(FILE) == a_survey()
    assert await surveys.survey(a_file(id="file-b", sha256="a", format="text")) == a_survey()
    await surveys.survey(a_file(id="file-c", sha256="c"), "validation")
    assert [(spec.file, spec.split, spec.format) for spec in surveyor.asked] == [
        ("/files/file-a", "training", "text"),
        ("/files/file-c", "validation", "chat"),
    ]


async def test_rows_of_a_counted_file_are_shown_without_counting(
    surveys: Surveys, surveyor: Surveyor
) -> None:
    row = ShownRow(row=4, sequences=())
    surveyor.lines = (row, a_survey())
    assert await surveys.rows(FILE, offset=3, limit=1) == ((row,), a_survey())
    surveyor.lines = (row,)
    assert await surveys.rows(FILE, offset=3, limit=1) == ((row,), a_survey())
    assert [spec.statistics for spec in surveyor.asked] == [True, False]
    assert [(spec.offset, spec.limit) for spec in surveyor.asked] == [(3, 1)] * 2


async def test_a_refusal_is_ours_and_is_not_kept(surveys: Surveys, surveyor: Surveyor) -> None:
    surveyor.lines = (Refused(code="invalid_file", message="Line 3", param="training_file"),)
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="Line 3") as raised:
            await surveys.survey(FILE)
        assert (raised.value.code, raised.value.param) == ("invalid_file", "training_file")
    assert len(surveyor.asked) == 2


async def test_a_process_that_says_nothing_is_a_fault(surveys: Surveys, surveyor: Surveyor) -> None:
    surveyor.lines = ()
    with pytest.raises(RuntimeError, match="without an answer"):
        await surveys.survey(FILE)


async def test_nothing_is_asked_without_a_base_model(surveyor: Surveyor) -> None:
    surveys = Surveys(ask=surveyor, base=BaseModel("a/b"), path=Path, max_length=512)
    with pytest.raises(EngineUnavailable, match="not on this machine yet"):
        await surveys.survey(FILE)
    assert not surveyor.asked


async def test_the_longest_sequence_is_counted_or_bounded_by_bytes(
    surveys: Surveys, surveyor: Surveyor
) -> None:
    assert surveys.longest(FILE) == 512
    assert surveys.longest(a_file(sha256="b", longest_line=100)) == 356
    assert surveys.longest(a_file(sha256="b", longest_line=1000)) == 512
    await surveys.survey(FILE)
    assert surveys.longest(FILE) == 20
    sample = a_file(sha256="s", longest_line=100)
    surveyor.lines = (a_survey(rows_read=10),)
    await surveys.survey(sample)
    assert surveys.longest(sample) == 356


async def test_the_oldest_counts_are_forgotten(surveys: Surveys, surveyor: Surveyor) -> None:
    for number in range(600):
        await surveys.survey(a_file(sha256=str(number)))
    await surveys.survey(a_file(sha256="599"))
    assert len(surveyor.asked) == 600
    await surveys.survey(a_file(sha256="0"))
    assert len(surveyor.asked) == 601

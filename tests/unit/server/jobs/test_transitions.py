import pytest

from tunery_server.jobs.transitions import FINAL, LEGAL, UNFINISHED, before
from tunery_server.records.rows import JobStatus


def test_every_state_is_in_the_table() -> None:
    assert set(LEGAL) == set(JobStatus) == FINAL | UNFINISHED


@pytest.mark.parametrize("status", sorted(FINAL))
def test_nothing_follows_a_final_state(status: JobStatus) -> None:
    assert LEGAL[status] == frozenset()
    assert all(status not in before(later) for later in JobStatus)


def test_the_final_states_are_openais() -> None:
    assert {"succeeded", "failed", "cancelled"} == FINAL


@pytest.mark.parametrize("status", sorted(UNFINISHED))
def test_every_unfinished_job_can_be_cancelled_and_can_fail(status: JobStatus) -> None:
    assert status in before(JobStatus.CANCELLED)
    assert status in before(JobStatus.FAILED)


def test_only_a_running_job_can_succeed_or_go_back_in_line() -> None:
    assert before(JobStatus.SUCCEEDED) == {JobStatus.RUNNING}
    assert before(JobStatus.QUEUED) == {JobStatus.RUNNING, JobStatus.VALIDATING_FILES}
    assert before(JobStatus.RUNNING) == {JobStatus.QUEUED}

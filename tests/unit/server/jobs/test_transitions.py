import pytest

from tunery_server.jobs.transitions import (
    FINAL,
    LEGAL,
    PAUSE,
    RELEASE,
    RESUME,
    UNFINISHED,
    Moves,
    before,
)
from tunery_server.records.rows import HELD, JobStatus


def test_every_state_is_in_the_table() -> None:
    assert set(LEGAL) == set(JobStatus) == FINAL | UNFINISHED


@pytest.mark.parametrize("status", sorted(FINAL))
def test_nothing_follows_a_final_state(status: JobStatus) -> None:
    assert LEGAL[status] == frozenset()
    assert all(status not in before(later) for later in JobStatus)


def test_the_final_states_are_openais() -> None:
    assert {"succeeded", "failed", "cancelled"} == FINAL


@pytest.mark.parametrize("status", sorted(UNFINISHED))
def test_every_unfinished_job_can_be_cancelled(status: JobStatus) -> None:
    assert status in before(JobStatus.CANCELLED)


def test_every_unfinished_job_but_a_paused_one_can_fail() -> None:
    assert before(JobStatus.FAILED) == UNFINISHED - {JobStatus.PAUSED}


def test_only_a_job_that_somebody_holds_can_succeed() -> None:
    assert before(JobStatus.SUCCEEDED) == HELD == {JobStatus.RUNNING, JobStatus.PAUSING}


def test_a_job_runs_out_of_the_line_or_because_a_pause_was_taken_back() -> None:
    assert before(JobStatus.RUNNING) == {JobStatus.QUEUED, JobStatus.PAUSING}
    assert before(JobStatus.QUEUED) == {
        JobStatus.VALIDATING_FILES,
        JobStatus.RUNNING,
        JobStatus.PAUSED,
    }


@pytest.mark.parametrize("moves", [PAUSE, RESUME, RELEASE], ids=["pause", "resume", "release"])
def test_every_move_is_legal(moves: Moves) -> None:
    assert all(later in LEGAL[earlier] for earlier, later in moves.items())


def test_a_job_can_be_paused_or_resumed_until_it_ends() -> None:
    pausable, resumable = set(PAUSE), set(RESUME)
    assert pausable | resumable == UNFINISHED
    assert not pausable & resumable
    assert set(RELEASE) == HELD

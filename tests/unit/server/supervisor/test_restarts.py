"""When a process that ended starts again."""

import pytest

from tunery_server.supervisor.restarts import OPEN_S, STEADY_S, WINDOW_S, Restarts


def test_ever_later_until_it_has_run_for_a_while() -> None:
    restarts = Restarts()
    waits = [restarts.delay_s(0.0, 1.0) for _ in range(9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert restarts.delay_s(0.0, STEADY_S + 1) == 0.5
    assert not restarts.open


@pytest.mark.promise("P16", fault="the engine dies five times within ten minutes")
def test_who_dies_too_often_is_left_down() -> None:
    restarts = Restarts(deaths=5)
    ends = [STEADY_S * 1.5 * number for number in range(1, 5)]
    assert [restarts.delay_s(end - 70.0, end) for end in ends] == [0.5] * 4, "it ran for a while"
    assert restarts.delay_s(ends[-1], ends[-1] + 70.0) == OPEN_S
    assert restarts.open
    again = ends[-1] + 70.0 + OPEN_S + 30.0
    assert restarts.delay_s(again - 30.0, again) == OPEN_S, "once in a while, as long as it dies"


def test_deaths_that_are_long_past_do_not_count() -> None:
    restarts = Restarts(deaths=2)
    assert restarts.delay_s(0.0, 100.0) == 0.5
    assert restarts.delay_s(100.0, 100.0 + WINDOW_S) == 0.5
    assert not restarts.open

"""What a loss curve looks like."""

import io
import math

from rich.console import Console

from tunery.cli._curve import LossCurve, Series


def drawn(curve: LossCurve, width: int = 72) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(curve)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def falling(steps: int = 50, height: int = 5) -> LossCurve:
    curve = LossCurve(height)
    curve.total_steps = steps
    for step in range(1, steps + 1):
        curve.train.add(step, 3 - 2 * step / steps)
    return curve


def test_a_falling_loss_goes_from_the_top_left_to_the_bottom_right() -> None:
    curve = falling()
    curve.valid.add(25, 2.0)
    *lines, legend = drawn(curve)
    assert [line.partition("│")[0].strip() for line in lines] == ["2.960", "", "", "", "1.000"]
    areas = [line.partition("│")[2] for line in lines]
    ends = [len(area) for area in areas]
    starts = [len(area) - len(area.lstrip()) for area in areas]
    assert ends == sorted(ends)
    assert starts == sorted(starts)
    assert (starts[0], ends[-1]) == (0, 60)
    assert areas[2][29] == "●"
    assert legend.strip() == "⠤ training 1.000   ● validation 2.000   over 50 steps"


def test_half_of_the_steps_fill_half_of_the_width() -> None:
    curve = falling()
    curve.total_steps = 100
    assert max(len(line.partition("│")[2]) for line in drawn(curve)[:-1]) == 30


def test_a_loss_that_does_not_move_is_a_level_line() -> None:
    curve = LossCurve(3)
    for step in (1, 2, 3):
        curve.train.add(step, 1.0)
    assert [line.partition("│")[2] for line in drawn(curve)[1:3]] == ["", ""]


def test_nothing_is_drawn_of_less_than_two_losses_or_without_room() -> None:
    curve = LossCurve(5)
    assert drawn(curve) == []
    curve.train.add(1, math.nan)
    curve.train.add(2, 1.0)
    assert drawn(curve) == []
    assert drawn(falling(height=1)) == []
    assert drawn(falling(), width=5)


def test_a_step_that_is_taken_again_replaces_what_came_after_it() -> None:
    series = Series()
    for step in (1, 2, 3, 4):
        series.add(step, float(step))
    series.add(3, 9.0)
    assert series.points == [(1, 1.0), (2, 2.0), (3, 9.0)]


def test_a_long_job_stays_small_and_keeps_its_shape() -> None:
    series = Series()
    for step in range(1, 100_001):
        series.add(step, 1 / step)
    assert len(series.points) <= 2048
    assert series.points[0][1] > 0.01
    losses = [loss for _, loss in series.points]
    assert losses == sorted(losses, reverse=True)
    assert series.last == 1 / 100_000

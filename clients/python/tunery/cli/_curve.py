"""Losses as a curve of characters: training in Braille dots, validation as a mark each time."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from rich.console import Console, ConsoleOptions
from rich.text import Text

_MOST_PARTS = 2048
"""Beyond that, neighbours become one: a terminal has no more dots to show."""
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Of one Braille character, by column and row (Unicode, block 2800)."""
_BLANK = 0x2800
_MARK = "●"
_LABEL = 9
_TRAIN, _VALID = "cyan", "yellow"

Point = tuple[float, float]
"""A step and its loss."""


@dataclass
class _Part:
    """A run of steps: its place among runs of the same length, and the mean of its losses."""

    place: int
    loss: float
    count: int = 1

    def join(self, loss: float, count: int) -> None:
        self.count += count
        self.loss += (loss - self.loss) * count / self.count


class Series:
    """Losses by step. A step that is taken again, by a job that went on, replaces what was."""

    def __init__(self) -> None:
        self.last: float | None = None
        """The newest one."""
        self._length = 1
        self._parts: list[_Part] = []

    @property
    def points(self) -> list[Point]:
        """The middle of each part and its loss."""
        middle = (self._length - 1) / 2
        return [(part.place * self._length + middle, part.loss) for part in self._parts]

    def add(self, step: int, loss: float) -> None:
        """The next one; what is no number is left out."""
        if not math.isfinite(loss):
            return
        self.last, place = loss, step // self._length
        again = place if self._length == 1 else place + 1
        while self._parts and self._parts[-1].place >= again:
            self._parts.pop()
        _put(self._parts, _Part(place, loss))
        if len(self._parts) > _MOST_PARTS:
            self._halve()

    def _halve(self) -> None:
        parts: list[_Part] = []
        for part in self._parts:
            _put(parts, _Part(part.place // 2, part.loss, part.count))
        self._parts, self._length = parts, 2 * self._length


def _put(parts: list[_Part], part: _Part) -> None:
    if parts and parts[-1].place == part.place:
        parts[-1].join(part.loss, part.count)
    else:
        parts.append(part)


class LossCurve:
    """Both losses over all steps of a job, as wide as there is room and ``height`` lines high."""

    def __init__(self, height: int) -> None:
        self.train, self.valid = Series(), Series()
        self.total_steps = 0
        self._height = height

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Text]:
        train, valid = self.train.points, self.valid.points  # drawn while others are added
        if len(train) < 2 or self._height < 2:  # noqa: PLR2004 - a line has two ends
            return
        width = options.max_width - _LABEL - 3
        area = _Area(width, self._height, train + valid, self.total_steps)
        area.line(train)
        area.marks(valid)
        yield from area.lines()
        yield self._legend()

    def _legend(self) -> Text:
        text = Text(" " * (_LABEL + 2), no_wrap=True)
        text.append(f"⠤ training {self.train.last:.3f}", _TRAIN)
        if self.valid.last is not None:
            text.append(f"   {_MARK} validation {self.valid.last:.3f}", _VALID)
        return text.append(f"   over {self.total_steps} steps")


class _Area:
    """What is drawn so far, in characters of two by four dots."""

    def __init__(self, width: int, height: int, points: list[Point], steps: float) -> None:
        losses = [loss for _, loss in points]
        self._low, self._high = min(losses), max(losses)
        self._last = max(steps, *(step for step, _ in points), 2)
        self._width, self._height = max(1, width), height
        self._cells = [[0] * self._width for _ in range(height)]
        self._marks: set[tuple[int, int]] = set()

    def line(self, points: list[Point]) -> None:
        """Join the points, a dot in each column."""
        for (x, y), (next_x, next_y) in pairwise(map(self._at, points)):
            for column in range(x, next_x + 1):
                share = (column - x) / max(1, next_x - x)
                self._dot(column, round(y + share * (next_y - y)))

    def marks(self, points: Iterable[Point]) -> None:
        """A mark at each point, over whatever is there."""
        for point in points:
            x, y = self._at(point)
            self._marks.add((x // 2, y // 4))

    def lines(self) -> Iterator[Text]:
        """From top to bottom, with the highest and the lowest loss at the side."""
        for row, cells in enumerate(self._cells):
            label = {0: self._high, self._height - 1: self._low}.get(row)
            text = Text("" if label is None else f"{label:.3f}", no_wrap=True)
            text.align("right", _LABEL)
            text.append(" │")
            marked = {column for column, at in self._marks if at == row}
            begin = len(text)
            drawn = (
                _MARK if column in marked else chr(_BLANK + dots) if dots else " "
                for column, dots in enumerate(cells)
            )
            text.append("".join(drawn).rstrip(), _TRAIN)
            for column in marked:
                text.stylize(_VALID, begin + column, begin + column + 1)
            yield text

    def _at(self, point: Point) -> tuple[int, int]:
        """Column and row in dots, from the top left."""
        step, loss = point
        x = (step - 1) / (self._last - 1) * (2 * self._width - 1)
        y = (self._high - loss) / ((self._high - self._low) or 1.0) * (4 * self._height - 1)
        return max(0, round(x)), round(y)

    def _dot(self, x: int, y: int) -> None:
        self._cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]

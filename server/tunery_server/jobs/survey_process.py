"""The short process that reads a training file as the trainer would."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence

from tunery_adapters.survey import LINE, AnyLine, SurveySpec
from tunery_server.errors import InvalidRequest, Overloaded
from tunery_server.processes import child
from tunery_server.processes.environment import for_training

_COMMAND = ("nice", "-n", "10", sys.executable, "-m", "tunery_adapters.training.survey")
SHOWING_S = 30.0
"""Time beside the counting: to start, and to show rows."""
_LINE_BYTES = 2**26
"""A row is shown by tens of thousands of tokens, and each takes some dozens of bytes here."""


class SurveyProcesses:
    """Runs ``python -m tunery_adapters.training.survey``, a few at once.

    The process gets no secret and no network, runs at low priority on one thread, and is killed
    when nobody waits for it any more.
    """

    def __init__(
        self,
        *,
        places: int = 2,
        line: int = 16,
        showing_s: float = SHOWING_S,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self._places = asyncio.Semaphore(places)
        self._line = line
        self._showing_s = showing_s
        self._command = command
        self._waiting = 0

    async def __call__(self, spec: SurveySpec) -> tuple[AnyLine, ...]:
        """All that it says. Raises Overloaded, or InvalidRequest for a file that takes too long."""
        async with self._place():
            try:
                async with asyncio.timeout(spec.budget_s + self._showing_s):
                    return await _answer(self._command, spec)
            except TimeoutError as error:
                raise InvalidRequest(
                    "It takes too long to look at these rows: they are very long, or have very "
                    "many turns.",
                    code="invalid_file",
                    param=f"{spec.split}_file",
                ) from error

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._places.locked() and self._waiting >= self._line:
            raise Overloaded("Too many files are being looked at. Try again shortly.")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


async def _answer(command: Sequence[str], spec: SurveySpec) -> tuple[AnyLine, ...]:
    process = await child.start(
        [*command],
        for_training(1),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # a traceback could quote a row
        line_limit=_LINE_BYTES,
    )
    assert process.stdin is not None  # noqa: S101 - both were asked for
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(spec.model_dump_json().encode())
        process.stdin.close()
        said = [line async for line in process.stdout]
        return await asyncio.to_thread(_parsed, said)
    finally:
        child.kill_group(process)
        with contextlib.suppress(ProcessLookupError):
            await process.wait()


def _parsed(said: Sequence[bytes]) -> tuple[AnyLine, ...]:
    return tuple(LINE.validate_json(line) for line in said)

"""What training files turn into, counted once for each content and length."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from tunery_adapters.base_model import BaseModel
from tunery_adapters.survey import AnyLine, Refused, ShownRow, Survey, SurveySpec
from tunery_server.errors import EngineUnavailable, InvalidRequest
from tunery_server.records.rows import File

Ask: TypeAlias = Callable[[SurveySpec], Awaitable[Sequence[AnyLine]]]
Split: TypeAlias = Literal["training", "validation"]

_KEPT = 512
_TEMPLATE_TOKENS = 256
"""What a chat template may add to a line: a system prompt of its own, words about tools."""


class Surveys:
    """Looks at files by :class:`tunery_server.jobs.survey_process.SurveyProcesses`."""

    def __init__(
        self, *, ask: Ask, base: BaseModel, path: Callable[[str], Path], max_length: int
    ) -> None:
        self.max_length = max_length
        self._ask = ask
        self._base = base
        self._path = path
        self._known: OrderedDict[tuple[str, str], Survey] = OrderedDict()

    async def survey(self, file: File, split: Split = "training") -> Survey:
        """The counts of a file. Raises as :meth:`rows`."""
        return (await self.rows(file, split=split))[1]

    async def rows(
        self, file: File, *, offset: int = 0, limit: int = 0, split: Split = "training"
    ) -> tuple[tuple[ShownRow, ...], Survey]:
        """Some rows as the trainer would see them, and the counts of the whole file.

        Raises InvalidRequest for a file that cannot be trained on, EngineUnavailable while the
        base model is not there, and Overloaded.
        """
        known = self._known.get(_key(file))
        if known is not None and not limit:
            return (), known
        lines = await self._lines(file, split, offset=offset, limit=limit, counted=known is None)
        for line in lines:
            if isinstance(line, Survey):
                known = self._keep(file, line)
        if known is None:
            raise RuntimeError("the survey ended without an answer")
        return tuple(line for line in lines if isinstance(line, ShownRow)), known

    def longest(self, file: File) -> int:
        """Tokens of the longest sequence: as counted, or at most, which is by its bytes."""
        known = self._known.get(_key(file))
        if known is not None and known.is_whole:
            return known.longest_sequence
        if file.longest_line is None:
            return self.max_length
        return min(self.max_length, file.longest_line + _TEMPLATE_TOKENS)

    async def _lines(
        self, file: File, split: Split, *, offset: int, limit: int, counted: bool
    ) -> Sequence[AnyLine]:
        if not self._base.is_here:
            raise EngineUnavailable("The base model is not on this machine yet.")
        path = await asyncio.to_thread(self._path, file.id)
        spec = SurveySpec(
            base_model_path=self._base.path,
            file=str(path),
            split=split,
            format=file.data_format,
            max_length=self.max_length,
            offset=offset,
            limit=limit,
            statistics=counted,
        )
        lines = await self._ask(spec)
        for line in lines:
            if isinstance(line, Refused):
                raise InvalidRequest(line.message, code=line.code, param=line.param)
        return lines

    def _keep(self, file: File, survey: Survey) -> Survey:
        self._known[_key(file)] = survey
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return survey


def _key(file: File) -> tuple[str, str]:
    return file.sha256, file.data_format

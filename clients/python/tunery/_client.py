"""The clients: those of the openai package, plus fine-tuning in one call and adapters."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Unpack

import httpx2
from openai import AsyncOpenAI, OpenAI
from openai.types import Model
from openai.types.fine_tuning import FineTuningJob

from ._adapters import Adapters, AsyncAdapters
from ._aliases import Aliases, AsyncAliases
from ._errors import TuneryError
from ._estimates import ESTIMATE, PREVIEW, JobEstimate, JobPreview, request
from ._fine_tune import FilePath, Recipe, job_body, source
from ._follow import JobUpdate, follow, follow_async
from ._job_events import JobEvent
from ._patience import AsyncClock, Clock, LoopClock, Patience
from ._settings import find_api_key, find_base_url
from ._stream import WholeStreamDecoder

OnEvent = Callable[[JobEvent], object]

IDEMPOTENCY_HEADER = "Idempotency-Key"
"""Sent with every request that is no GET, and the same for each of its tries."""


class Tunery(OpenAI):
    """A client of a Tunery server, with every method and option of ``openai.OpenAI``.

    Raises:
        MissingKeyError: no key was given and none was found.
    """

    _clock: ClassVar[Clock] = time

    def __init__(
        self,
        *,
        base_url: str | httpx2.URL | None = None,
        api_key: str | Callable[[], str] | None = None,
        **options: Any,
    ) -> None:
        url = str(base_url or find_base_url())
        super().__init__(base_url=url, api_key=api_key or find_api_key(url), **options)
        self._idempotency_header = IDEMPOTENCY_HEADER

    @cached_property
    def adapters(self) -> Adapters:
        """Adapters: list, retrieve, delete, import and export."""
        return Adapters(self)

    @cached_property
    def aliases(self) -> Aliases:
        """Aliases: create, list, retrieve, move, roll back, delete."""
        return Aliases(self)

    def base_model(self) -> str:
        """Name of the model that the server serves untuned and fine-tunes."""
        return _base_model(self.models.list().data)

    def fine_tune(
        self,
        training_file: FilePath,
        *,
        model: str | None = None,
        validation_file: FilePath | None = None,
        on_event: OnEvent | None = None,
        timeout_s: float | None = None,
        **recipe: Unpack[Recipe],
    ) -> str:
        """Upload, submit, wait; return the fine-tuned model's name, ready for the next request.

        Files are paths of JSONL files or ids of uploaded ones; ``model`` is by default the
        server's base model. ``on_event`` gets each event of the job, in order. The job goes on
        if this call is interrupted or times out; ``wait`` waits for it again.

        Raises:
            FineTuneFailed, FineTuneCancelled, FineTuneTimeout: no model was made, or not yet.
            FileNotFoundError: a file is neither here nor an id.
            openai.APIError: the server refused, or was unreachable for two minutes.
        """
        job = self.submit(training_file, model=model, validation_file=validation_file, **recipe)
        return self.wait(job.id, on_event=on_event, timeout_s=timeout_s)

    def submit(
        self,
        training_file: FilePath,
        *,
        model: str | None = None,
        validation_file: FilePath | None = None,
        **recipe: Unpack[Recipe],
    ) -> FineTuningJob:
        """The first half of ``fine_tune``: upload and submit, and return the queued job."""
        wish = self._wish(training_file, model, validation_file, recipe)
        return self.fine_tuning.jobs.create(**wish)

    def estimate(
        self,
        training_file: FilePath,
        *,
        model: str | None = None,
        validation_file: FilePath | None = None,
        **recipe: Unpack[Recipe],
    ) -> JobEstimate:
        """What ``submit`` with these arguments would come to: upload, and queue nothing."""
        wish = self._wish(training_file, model, validation_file, recipe)
        return self.post(ESTIMATE, body=request(wish), cast_to=JobEstimate)

    def preview(
        self,
        training_file: FilePath,
        *,
        model: str | None = None,
        validation_file: FilePath | None = None,
        offset: int = 0,
        limit: int = 5,
        **recipe: Unpack[Recipe],
    ) -> JobPreview:
        """At most 50 rows of the file as tokens, after ``offset`` others; queue nothing."""
        wish = self._wish(training_file, model, validation_file, recipe)
        body = request(wish, offset=offset, limit=limit)
        return self.post(PREVIEW, body=body, cast_to=JobPreview)

    def wait(
        self,
        job_id: str,
        *,
        on_event: OnEvent | None = None,
        timeout_s: float | None = None,
    ) -> str:
        """The second half of ``fine_tune``: wait for a job and return its model's name."""
        updates = self.follow(job_id, timeout_s=timeout_s)
        for update in updates:
            _report(update, on_event)
        return update.result()

    def follow(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        patience: Patience | None = None,
    ) -> Iterator[JobUpdate]:
        """Yield the job and its events as they come, from the first on, until it ends.

        A server that is away is waited for; then it goes on after the last event that came.
        ``timeout_s`` is kept to within the five seconds between two signs of life of the server.

        Raises:
            FineTuneTimeout: the job did not end within ``timeout_s``.
            openai.APIError: the server refused, or was away for longer than ``patience`` says.
        """
        return follow(self, job_id, timeout_s, self._clock, patience or Patience())

    def _wish(
        self,
        training_file: FilePath,
        model: str | None,
        validation_file: FilePath | None,
        recipe: Recipe,
    ) -> dict[str, Any]:
        """Arguments of ``fine_tuning.jobs.create``, once the files are with the server."""
        body = job_body(**recipe)
        training = source(training_file)
        validation = source(validation_file) if validation_file else None
        body["training_file"] = self._file_id(training)
        if validation:
            body["validation_file"] = self._file_id(validation)
        return {"model": model or self.base_model(), **body}

    def _file_id(self, file: Path | str) -> str:
        if isinstance(file, str):
            return file
        return self.files.create(file=file, purpose="fine-tune").id

    def _make_sse_decoder(self) -> WholeStreamDecoder:
        return WholeStreamDecoder()


class AsyncTunery(AsyncOpenAI):
    """As Tunery, with every method and option of ``openai.AsyncOpenAI``.

    Raises:
        MissingKeyError: no key was given and none was found.
    """

    _clock: ClassVar[AsyncClock] = LoopClock()

    def __init__(
        self,
        *,
        base_url: str | httpx2.URL | None = None,
        api_key: str | Callable[[], Awaitable[str]] | None = None,
        **options: Any,
    ) -> None:
        url = str(base_url or find_base_url())
        super().__init__(base_url=url, api_key=api_key or find_api_key(url), **options)
        self._idempotency_header = IDEMPOTENCY_HEADER

    @cached_property
    def adapters(self) -> AsyncAdapters:
        """Adapters: list, retrieve, delete, import and export."""
        return AsyncAdapters(self)

    @cached_property
    def aliases(self) -> AsyncAliases:
        """Aliases: create, list, retrieve, move, roll back, delete."""
        return AsyncAliases(self)

    async def base_model(self) -> str:
        """Name of the model that the server serves untuned and fine-tunes."""
        return _base_model((await self.models.list()).data)

    async def fine_tune(
        self,
        training_file: FilePath,
        *,
        model: str | None = None,
        validation_file: FilePath | None = None,
        on_event: OnEvent | None = None,
        timeout_s: float | None = None,
        **recipe: Unpack[Recipe],
    ) -> str:
        """Upload, submit, wait; return the model's name. See ``Tunery.fine_tune``."""
        job = await self.submit(
            training_file, model=model, validation_file=validation_file, **recipe
        )
        return await self.wait(job.id, on_event=on_event, timeout_s=timeout_s)

    async def submit(
        self,
        training_file: FilePath,
        *,
        model: str | None = None,
        validation_file: FilePath | None = None,
        **recipe: Unpack[Recipe],
    ) -> FineTuningJob:
        """The first half of ``fine_tune``: upload and submit, and return the queued job."""
        wish = await self._wish(training_file, model, validation_file, recipe)
        return await self.fine_tuning.jobs.create(**wish)

    async def estimate(
        self,
        training_file: FilePath,
        *,
        model: str | None = None,
        validation_file: FilePath | None = None,
        **recipe: Unpack[Recipe],
    ) -> JobEstimate:
        """What ``submit`` with these arguments would come to: upload, and queue nothing."""
        wish = await self._wish(training_file, model, validation_file, recipe)
        return await self.post(ESTIMATE, body=request(wish), cast_to=JobEstimate)

    async def preview(
        self,
        training_file: FilePath,
        *,
        model: str | None = None,
        validation_file: FilePath | None = None,
        offset: int = 0,
        limit: int = 5,
        **recipe: Unpack[Recipe],
    ) -> JobPreview:
        """At most 50 rows of the file as tokens, after ``offset`` others; queue nothing."""
        wish = await self._wish(training_file, model, validation_file, recipe)
        body = request(wish, offset=offset, limit=limit)
        return await self.post(PREVIEW, body=body, cast_to=JobPreview)

    async def wait(
        self,
        job_id: str,
        *,
        on_event: OnEvent | None = None,
        timeout_s: float | None = None,
    ) -> str:
        """The second half of ``fine_tune``: wait for a job and return its model's name."""
        updates = self.follow(job_id, timeout_s=timeout_s)
        async for update in updates:
            _report(update, on_event)
        return update.result()

    def follow(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        patience: Patience | None = None,
    ) -> AsyncIterator[JobUpdate]:
        """Yield the job and its events as they come. See ``Tunery.follow``."""
        return follow_async(self, job_id, timeout_s, self._clock, patience or Patience())

    async def _wish(
        self,
        training_file: FilePath,
        model: str | None,
        validation_file: FilePath | None,
        recipe: Recipe,
    ) -> dict[str, Any]:
        """Arguments of ``fine_tuning.jobs.create``, once the files are with the server."""
        body = job_body(**recipe)
        training = source(training_file)
        validation = source(validation_file) if validation_file else None
        body["training_file"] = await self._file_id(training)
        if validation:
            body["validation_file"] = await self._file_id(validation)
        return {"model": model or await self.base_model(), **body}

    async def _file_id(self, file: Path | str) -> str:
        if isinstance(file, str):
            return file
        return (await self.files.create(file=file, purpose="fine-tune")).id

    def _make_sse_decoder(self) -> WholeStreamDecoder:
        return WholeStreamDecoder()


def _report(update: JobUpdate, on_event: OnEvent | None) -> None:
    if on_event is not None:
        for event in update.events:
            on_event(event)


def _base_model(models: list[Model]) -> str:
    for model in models:
        if (model.model_extra or {}).get("parent") is None:
            return model.id
    raise TuneryError("the server lists no base model; is its engine ready?")

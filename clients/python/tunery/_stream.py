"""A decoder that notices when a stream is cut off.

The openai client takes a closed connection for the end of an answer, so half an answer looks whole.
"""

from collections.abc import AsyncIterator, Iterator

from openai._streaming import ServerSentEvent, SSEDecoder

from ._errors import StreamInterrupted


class WholeStreamDecoder(SSEDecoder):
    """Decodes server-sent events; raises StreamInterrupted if they stop before ``[DONE]``.

    The reader stops pulling at ``[DONE]``, so the end of a loop below is reached only by a stream
    that had none. A stream of named events, as of responses, ends without that mark.
    """

    def iter_bytes(self, iterator: Iterator[bytes]) -> Iterator[ServerSentEvent]:
        """Yield every event of ``iterator``."""
        last: ServerSentEvent | None = None
        for last in super().iter_bytes(iterator):
            yield last
        _require_named(last)

    async def aiter_bytes(self, iterator: AsyncIterator[bytes]) -> AsyncIterator[ServerSentEvent]:
        """Yield every event of ``iterator``."""
        last: ServerSentEvent | None = None
        async for last in super().aiter_bytes(iterator):
            yield last
        _require_named(last)


def _require_named(last: ServerSentEvent | None) -> None:
    if last is None or last.event is None:
        raise StreamInterrupted("the stream ended early: the answer so far is not whole")

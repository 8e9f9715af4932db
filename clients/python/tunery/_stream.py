"""A decoder that notices when a stream is cut off.

The openai client takes a closed connection for the end of an answer, so half an answer looks whole.
"""

from collections.abc import AsyncIterator, Iterator

import httpx2
from openai._streaming import ServerSentEvent, SSEDecoder

from ._errors import StreamInterrupted

_CUT = (httpx2.NetworkError, httpx2.RemoteProtocolError)
"""What a connection that breaks raises; one that only takes too long has an error of its own."""


class WholeStreamDecoder(SSEDecoder):
    """Decodes server-sent events; raises StreamInterrupted if they stop before ``[DONE]``.

    However they stop: the server may end the connection in order, or die.

    The reader stops pulling at ``[DONE]``, so the end of a loop below is reached only by a stream
    that had none. A stream of named events, as of responses, ends without that mark.
    """

    def iter_bytes(self, iterator: Iterator[bytes]) -> Iterator[ServerSentEvent]:
        """Yield every event of ``iterator``."""
        last: ServerSentEvent | None = None
        try:
            for last in super().iter_bytes(iterator):
                yield last
        except _CUT as error:
            raise _interrupted() from error
        _require_named(last)

    async def aiter_bytes(self, iterator: AsyncIterator[bytes]) -> AsyncIterator[ServerSentEvent]:
        """Yield every event of ``iterator``."""
        last: ServerSentEvent | None = None
        try:
            async for last in super().aiter_bytes(iterator):
                yield last
        except _CUT as error:
            raise _interrupted() from error
        _require_named(last)


def _require_named(last: ServerSentEvent | None) -> None:
    if last is None or last.event is None:
        raise _interrupted()


def _interrupted() -> StreamInterrupted:
    return StreamInterrupted("the stream ended early: the answer so far is not whole")

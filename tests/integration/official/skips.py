"""Tests of the client that this server cannot pass, and why. Each is run, and has to fail."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .calls import Call

_NO_CHAT = "chat completions are not stored"
_NO_RESPONSE = "responses are not stored"
_NO_MODEL = "names no model"
_OPENAI_ALONE = "asks for a conversation, a prompt and a moderation that OpenAI keeps"
_ALL_PARAMETERS = "*_with_all_params*"


@dataclass(frozen=True)
class Skip:
    """Patterns of the client's method and of the test's name."""

    method: str
    reason: str
    test: str = "*"

    def covers(self, call: Call) -> bool:
        """Whether this is why the test of ``call`` fails."""
        name = call.test.rpartition("::")[2]
        return fnmatchcase(call.method, self.method) and fnmatchcase(name, self.test)


SKIPS = (
    Skip("chat.completions.create", "asks for audio and a web search", _ALL_PARAMETERS),
    Skip("chat.completions.delete", _NO_CHAT),
    Skip("chat.completions.messages.list", _NO_CHAT),
    Skip("chat.completions.retrieve", _NO_CHAT),
    Skip("chat.completions.update", _NO_CHAT),
    Skip("completions.create", 'biases a token called "foo"; ids are numbers', _ALL_PARAMETERS),
    Skip("fine_tuning.alpha.graders.*", "graders are not offered"),
    Skip("fine_tuning.jobs.pause", "the package does not know the status `paused`"),
    Skip("responses.cancel", _NO_RESPONSE),
    Skip("responses.compact", "compaction is not offered"),
    Skip("responses.create", _OPENAI_ALONE, _ALL_PARAMETERS),
    Skip("responses.create", _NO_MODEL),
    Skip("responses.delete", _NO_RESPONSE),
    Skip("responses.input_items.list", _NO_RESPONSE),
    Skip("responses.input_tokens.count", _OPENAI_ALONE, _ALL_PARAMETERS),
    Skip("responses.input_tokens.count", _NO_MODEL),
    Skip("responses.retrieve", _NO_RESPONSE),
    Skip("uploads.complete", 'gives "md5" as the MD5', _ALL_PARAMETERS),
    Skip("webhooks.create", 'gives "https://" as the address'),
    Skip("webhooks.rotate_secret", "a secret is changed by a new endpoint"),
    Skip("webhooks.update", "an endpoint is changed by a new one"),
)
"""The first one that covers a test counts."""


def expected_failures(calls: Iterable[Call]) -> dict[str, str]:
    """Tests and reasons. A call without an id gets no further than the client, so it passes."""
    sent = [call for call in calls if "" not in call.given.values()]
    covering = (
        (call.test, next((skip for skip in SKIPS if skip.covers(call)), None)) for call in sent
    )
    return {test: skip.reason for test, skip in covering if skip is not None}

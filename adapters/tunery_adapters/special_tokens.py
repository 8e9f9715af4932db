"""What a user writes stays text, even where it spells a special token of the base model.

A chat template writes the special tokens that part the turns, and the tokeniser reads the rendered
text whole: it cannot tell them from those that stood in a message. So each such spelling is broken
by an invisible U+2060 WORD JOINER behind its first character, in serving and in training alike.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

JOINER = "\u2060"


class SpecialTokens:
    """The spellings of one tokeniser's special tokens. One of a single character is left alone."""

    def __init__(self, spellings: Iterable[str]) -> None:
        words = {word for word in spellings if len(word) > 1}
        self._spelling = re.compile(_any_of(words)) if words else None

    def as_text(self, value: Any) -> Any:
        """``value``, any JSON, with every special token that it spells broken; the rest as it is.

        Keys are text, too. The arguments of a tool call are JSON inside a string, which a chat
        template gets parsed: they are looked at as it sees them.
        """
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.as_text(item) for item in value]
        if isinstance(value, dict):
            return {self._text(key): self._member(key, item) for key, item in value.items()}
        return value

    def _member(self, key: str, value: Any) -> Any:
        parsed_later = key == "arguments" and isinstance(value, str)
        return self._arguments(value) if parsed_later else self.as_text(value)

    def _arguments(self, text: str) -> str:
        try:
            unescaped = json.dumps(json.loads(text), ensure_ascii=False)
        except ValueError:
            return self._text(text)
        broken = self._text(unescaped)
        return text if broken == unescaped else broken

    def _text(self, text: str) -> str:
        """Break at the start of each spelling, also where one begins inside another."""
        if self._spelling is None:
            return text
        pieces, done = [], 0
        while found := self._spelling.search(text, done):
            pieces.append(text[done : found.start() + 1])
            done = found.start() + 1
        return JOINER.join([*pieces, text[done:]]) if pieces else text


def _any_of(words: Iterable[str]) -> str:
    """A pattern of these words by their common beginnings, so that a search takes linear time."""
    by_first: dict[str, set[str]] = {}
    for word in words:
        by_first.setdefault(word[0], set()).add(word[1:])
    branches = []
    for first, rests in sorted(by_first.items()):
        # A word that ends here is found by its last character, whatever would follow.
        more = "" if "" in rests else _any_of(rests)
        branches.append(re.escape(first) + more)
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"

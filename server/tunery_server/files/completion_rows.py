"""One line of a dataset of raw completions."""

from pydantic import Field

from tunery_server.files.messages import Row


class CompletionRow(Row):
    """A prompt without any template, and what follows it. The loss falls on the latter."""

    prompt: str = Field(min_length=1)
    completion: str = Field(min_length=1)

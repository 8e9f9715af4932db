"""One line of plain text for continued pre-training."""

from pydantic import Field

from tunery_server.files.messages import Row


class TextRow(Row):
    """A text. The loss falls on all of it."""

    text: str = Field(min_length=1)

"""What a place where files lie can do, whatever it is made of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tunery_server.files.incoming import Incoming


class BlobStore(Protocol):
    """Immutable files by name. A file is complete or not there. Blocking.

    Whatever reaches for storage that is elsewhere raises StorageUnavailable when it cannot.
    """

    def path(self, file_id: str) -> Path:
        """Where the file can be read on this machine; nothing is there when there is no file."""

    def incoming(self) -> Incoming:
        """A new file, written on this machine until it is kept. Raises StorageFull."""

    def read(self, file_id: str) -> Iterator[bytes]:
        """The file in pieces; deleting it meanwhile does no harm. Raises FileNotFoundError."""

    def delete(self, file_id: str) -> None:
        """Remove a file; does nothing when it is gone."""

    def untouched_since(self, moment: float) -> tuple[str, ...]:
        """Names of what was last written to before a Unix time."""

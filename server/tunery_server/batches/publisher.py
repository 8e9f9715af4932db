"""From the results of a batch to files that its tenant can read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tunery_server.batches.parts import ERRORS, OUTPUT, Part
from tunery_server.files.service import BATCH_OUTPUT, FileService
from tunery_server.records.rows import Batch, File

_COLUMNS = {OUTPUT: "output_file", ERRORS: "error_file"}


@dataclass(frozen=True, slots=True)
class Published:
    """Files whose bytes are in place, and the columns of the batch that name them."""

    files: Sequence[File] = ()
    columns: dict[str, str] = field(default_factory=dict)


class Publisher:
    """Blocking."""

    def __init__(self, files: FileService) -> None:
        self._files = files

    def publish(self, batch: Batch, part: Part | None) -> Published:
        """Store the results that there are; the record makes the files visible."""
        if part is None:
            return Published()
        part.close()
        stored: dict[str, File] = {}
        try:
            for name, column in _COLUMNS.items():
                if part.has(name):
                    stored[column] = self._store(batch, part, name)
        except BaseException:
            self.discard(_published(stored))
            raise
        return _published(stored)

    def discard(self, published: Published) -> None:
        """Remove files that never got a record."""
        for file in published.files:
            self._files.discard(file)

    def _store(self, batch: Batch, part: Part, name: str) -> File:
        return self._files.store(
            batch.tenant_id,
            filename=f"{batch.id}_{name}",
            purpose=BATCH_OUTPUT,
            chunks=part.chunks(name),
            expires_after_s=batch.output_expires_after_s,
        )


def _published(stored: dict[str, File]) -> Published:
    columns = {column: file.id for column, file in stored.items()}
    return Published(tuple(stored.values()), columns)

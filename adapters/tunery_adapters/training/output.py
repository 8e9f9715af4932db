"""The trainer's standard output, kept for reports alone."""

import os
import sys
from typing import TextIO

from tunery_adapters.reports import AnyReport

_STDOUT, _STDERR = 1, 2


def claim_stdout() -> TextIO:
    """Return a stream to the real standard output and send everybody else's to standard error.

    Done on the file descriptor, so that no library, not even one in C, can spoil a line.
    """
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    return os.fdopen(kept, "w", encoding="utf-8", buffering=1)


class ReportStream:
    """Writes reports, one JSON object a line, each flushed at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, report: AnyReport) -> None:
        """Write one report."""
        self._stream.write(report.model_dump_json() + "\n")
        self._stream.flush()

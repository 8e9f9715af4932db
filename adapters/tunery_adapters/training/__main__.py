"""``python -m tunery_adapters.training <spec.json> [--silence <seconds>]``: run one job and exit.

With ``--silence`` the job is given up when standard input is silent for so long (``watch.py``).

Exit status: 0 finished, 75 stopped by SIGTERM or SIGINT and resumable, 76 given up and resumable,
1 failed, 2 misused.
"""

import logging
import signal
import sys
from pathlib import Path
from threading import Event
from types import FrameType

from tunery_adapters import fault
from tunery_adapters.reports import EXIT_STOPPED
from tunery_adapters.spec import TrainingSpec
from tunery_adapters.training.output import ReportStream, claim_stdout
from tunery_adapters.training.watch import watch

_EXIT_FAILED = 1
_EXIT_MISUSED = 2

_log = logging.getLogger("tunery_adapters.training")


def main(arguments: list[str]) -> int:
    """Run the job of the one spec file named; returns the exit status."""
    report = ReportStream(claim_stdout())
    stop = _stop_on_signals()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    if fault.armed:
        _log.warning("this process is made to fail: %s", fault.words())
    match arguments:
        case [file, "--silence", seconds]:
            watch(sys.stdin.fileno(), float(seconds))
            return _run(TrainingSpec.model_validate_json(Path(file).read_bytes()), report, stop)
        case [file]:
            return _run(TrainingSpec.model_validate_json(Path(file).read_bytes()), report, stop)
        case _:
            _log.error(
                "usage: python -m tunery_adapters.training <spec.json> [--silence <seconds>]"
            )
            return _EXIT_MISUSED


def _run(spec: TrainingSpec, report: ReportStream, stop: Event) -> int:
    # torch takes seconds to import; signals and standard output must be ours before that.
    from tunery_adapters.training.failures import as_report  # noqa: PLC0415

    try:
        from tunery_adapters.training import job  # noqa: PLC0415
        from tunery_adapters.training.loop import Clock  # noqa: PLC0415

        return 0 if job.run(spec, report, stop, Clock()) else EXIT_STOPPED
    except Exception as error:
        _log.exception("job %s failed", spec.job_id)
        report(as_report(error, spec))
        return _EXIT_FAILED


def _stop_on_signals() -> Event:
    stop = Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

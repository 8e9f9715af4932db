"""``python -m tunery_adapters.training.survey``: what the trainer would make of a file.

Takes a :class:`tunery_adapters.survey.SurveySpec` on standard input; ``tunery_adapters.survey``
says what it answers. Exit status: 0, or 1 for a file that is refused.
"""

import sys

from tunery_adapters.survey import AnyLine, Refused, SurveySpec
from tunery_adapters.training.failures import TrainingError
from tunery_adapters.training.output import claim_stdout

_EXIT_REFUSED = 1


def main() -> int:
    """Answer the one request; returns the exit status."""
    answer = claim_stdout()
    spec = SurveySpec.model_validate_json(sys.stdin.buffer.read())

    def write(line: AnyLine) -> None:
        answer.write(line.model_dump_json() + "\n")
        answer.flush()

    # A module that is None counts as not installed. Tokenisers need no torch, and importing it
    # takes longer than reading most files.
    sys.modules["torch"] = None  # type: ignore[assignment]
    from tunery_adapters.training.surveyor import survey  # noqa: PLC0415

    try:
        survey(spec, write)
    except TrainingError as error:
        write(Refused(code=error.code, message=error.message, param=error.param))
        return _EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())

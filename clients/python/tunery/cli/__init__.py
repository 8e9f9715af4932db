"""The ``tunery`` command. Nothing here is imported by the library."""

import sys


def main() -> None:
    """Run the command on ``sys.argv``; say what to install when its libraries are missing."""
    try:
        import rich  # noqa: F401, PLC0415
        import typer  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        sys.exit(
            f"The tunery command needs {error.name}, which comes with the extra 'cli':\n"
            '  pip install "tunery[cli]"'
        )
    from ._app import app  # noqa: PLC0415

    app(prog_name="tunery")

"""``tunery doctor``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tunery_server.cli.context import settings_of
from tunery_server.errors import ConfigError

if TYPE_CHECKING:
    from tunery_server.doctor.finding import Finding

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Check this installation and say what to change; status 1 when something does not work."""
    from tunery_server.doctor.finding import Level  # noqa: PLC0415 - slow to import

    findings = _findings()
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        _show(findings)
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(1)


def _findings() -> "Sequence[Finding]":
    from tunery_server.doctor.examination import checks_of, examine  # noqa: PLC0415
    from tunery_server.doctor.finding import fail, ok  # noqa: PLC0415
    from tunery_server.telemetry.logging import configure  # noqa: PLC0415

    configure("error", process="doctor")
    try:
        settings = settings_of()
    except ConfigError as error:
        return [fail("settings", error.message, "see docs/settings.md")]
    return [ok("settings", "can be read"), *examine(checks_of(settings))]


def _show(findings: "Sequence[Finding]") -> None:
    """A table on a terminal, else lines of fields between tabs."""
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        for one in findings:
            typer.echo("\t".join((one.level, one.check, one.found, one.advice or "")).rstrip())
        return
    table = Table("", "check", "found", "what to do", box=None, header_style="bold")
    for one in findings:
        level = Text(one.level, style=_STYLES[one.level])
        table.add_row(level, *map(Text, (one.check, one.found, one.advice or "")))
    console.print(table)

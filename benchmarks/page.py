"""benchmarks/README.md: its table and its plot, made from latest.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.plot import svg

MARK = "<!-- made by python -m benchmarks -->\n"
_MET = {"moonshot": "moonshot", "bar": "yes", "no": "**no**"}


def renew(folder: Path, latest: Mapping[str, Any]) -> None:
    """Write the page's last part and the plot anew."""
    page = folder / "README.md"
    page.write_text(page.read_text().partition(MARK)[0] + MARK + "\n" + tables(latest))
    (folder / "latest.svg").write_text(svg(_outcomes(latest)))


def tables(latest: Mapping[str, Any]) -> str:
    """Outcomes, then the runs that they came from."""
    lines = [
        "| id | | value | 95 % interval | bar | moonshot | met | of | against | rounds |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(id, one) for id, one in _outcomes(latest).items()),
        "",
        "![each value against its bar](latest.svg)",
        "",
        *(_run(at, told, latest) for at, told in latest["runs"].items()),
    ]
    return "\n".join(lines) + "\n"


def _outcomes(latest: Mapping[str, Any]) -> dict[str, Any]:
    return {id: one for id, one in latest.items() if id != "runs"}


def _row(id: str, one: Mapping[str, Any]) -> str:
    unit = "" if one["unit"] == "ratio" else f" {one['unit']}"
    cells = [
        id,
        one["says"],
        f"{_short(one['value'])}{unit}",
        f"{_short(one['low'])} to {_short(one['high'])}",
        _short(one["bar"]),
        _short(one["moonshot"]),
        _MET[one["met"]],
        _figure(one["numerator"]),
        _figure(one["denominator"]),
        str(one["rounds"]),
    ]
    return f"| {' | '.join(cells)} |"


def _figure(figure: Mapping[str, Any] | None) -> str:
    return "" if figure is None else f"{_short(figure['value'])} {figure['unit']}"


def _run(at: str, told: Mapping[str, Any], latest: Mapping[str, Any]) -> str:
    ids = [id for id, one in _outcomes(latest).items() if one["run"] == at]
    machine = told["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    return (
        f"- {', '.join(ids)}: {at}, {machine['cores']} cores of {machine['cpu']} "
        f"({', '.join(machine['flags'])}), {machine['memory_gib']} GiB, load {told['load'][0]}; "
        f"{versions}."
    )


def _short(value: float) -> str:
    return f"{value:.3g}"

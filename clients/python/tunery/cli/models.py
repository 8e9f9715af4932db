"""``tunery models``."""

from typing import TYPE_CHECKING, Any

import typer

from ._output import document, print_fields, print_json, print_page, print_table
from ._session import Session, with_session

if TYPE_CHECKING:
    from openai.types import Model

app = typer.Typer(no_args_is_help=True, help="Models that answer: the base and its adapters.")


@app.command("list")
@with_session
def list_models(session: Session) -> None:
    """List the models that answer."""
    models = session.client().models.list().data
    if session.json:
        return print_page(models)
    rows = [
        (
            model.id,
            _extra(model, "parent") or "base",
            model.owned_by,
            _extra(model, "residency"),
            ", ".join(_extra(model, "aliases") or ()),
        )
        for model in models
    ]
    return print_table(("MODEL", "PARENT", "OWNER", "RESIDENCY", "ALIASES"), rows)


@app.command("get")
@with_session
def get_model(session: Session, model: str) -> None:
    """Show one model."""
    found = session.client().models.retrieve(model)
    if session.json:
        return print_json(document(found))
    return print_fields(
        [
            ("model", found.id),
            ("parent", _extra(found, "parent")),
            ("job", _extra(found, "job_id")),
            ("version", _extra(found, "version")),
            ("aliases", ", ".join(_extra(found, "aliases") or ())),
            ("residency", _extra(found, "residency")),
            ("pinned", _extra(found, "pinned")),
            ("owner", found.owned_by),
            ("created", found.created),
        ]
    )


def _extra(model: "Model", key: str) -> Any:
    return (model.model_extra or {}).get(key)

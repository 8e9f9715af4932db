"""The options that every command takes, and the client made from them."""

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

import tunery

if TYPE_CHECKING:
    from tunery import Tunery

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON: one document, or one a line for what streams.")
]
BaseUrlOption = Annotated[
    str | None, typer.Option("--base-url", help="URL of the server; else TUNERY_BASE_URL.")
]
ApiKeyOption = Annotated[str | None, typer.Option("--api-key", help="Key; else TUNERY_API_KEY.")]

R = TypeVar("R")


@dataclass(frozen=True)
class Session:
    """How to reach the server and how to print."""

    json: bool = False
    base_url: str | None = None
    api_key: str | None = None

    def client(self) -> "Tunery":
        """A client of the server. Raises tunery.MissingKeyError."""
        return tunery.Tunery(base_url=self.base_url, api_key=self.api_key)

    def with_options(self, json: bool, base_url: str | None, api_key: str | None) -> "Session":
        """This session, with what a command's own options say instead."""
        return dataclasses.replace(
            self,
            json=json or self.json,
            base_url=base_url or self.base_url,
            api_key=api_key or self.api_key,
        )


def with_session(command: Callable[..., R]) -> Callable[..., R]:
    """Give ``command`` the common options, wherever on the line they stand.

    ``command`` gets a Session as its first argument; typer sees the options in its place.
    """

    @wraps(command)
    def run(
        ctx: typer.Context, as_json: bool, base_url: str | None, api_key: str | None, **own: Any
    ) -> R:
        session: Session = ctx.obj or Session()
        return command(session.with_options(as_json, base_url, api_key), **own)

    run.__signature__ = _with_common(inspect.signature(command))  # type: ignore[attr-defined]
    return run


def _with_common(own: inspect.Signature) -> inspect.Signature:
    def option(name: str, annotation: Any, default: object) -> inspect.Parameter:
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(name, kind, annotation=annotation, default=default)

    ctx = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    common = [
        option("as_json", JsonOption, False),
        option("base_url", BaseUrlOption, None),
        option("api_key", ApiKeyOption, None),
    ]
    kept = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(own.parameters.values())[1:]
    ]
    return inspect.Signature([ctx, *kept, *common])

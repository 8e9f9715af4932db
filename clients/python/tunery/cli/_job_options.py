"""The options that say what is to be trained and how, for every command that takes them."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal, TypeVar

import typer

R = TypeVar("R")
Number = TypeVar("Number", int, float)
Modules = Literal["all-linear"] | list[str]


def with_job_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give ``command`` the options of a job; it gets them as ``wish``, which ``submit`` takes."""
    options = inspect.signature(job_options).parameters

    @wraps(command)
    def run(*args: Any, **given: Any) -> R:
        wish = job_options(**{name: given.pop(name) for name in options})
        return command(*args, wish=wish, **given)

    own = inspect.signature(command)
    kept = [parameter for name, parameter in own.parameters.items() if name != "wish"]
    run.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=sorted([*kept, *options.values()], key=lambda parameter: parameter.kind)
    )
    return run


def job_options(
    *,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", "--from", help="An adapter to go on from, or the base."),
    ] = None,
    validation: Annotated[str | None, typer.Option(help="A file to measure the loss on.")] = None,
    suffix: Annotated[str | None, typer.Option(help="A part of the new model's name.")] = None,
    method: Annotated[
        Literal["supervised", "dpo"], typer.Option(help="dpo learns from pairs of answers.")
    ] = "supervised",
    beta: Annotated[str, typer.Option(help="Of dpo: a number, or auto.")] = "auto",
    n_epochs: Annotated[str, typer.Option(help="A number, or auto.")] = "auto",
    batch_size: Annotated[str, typer.Option(help="A number, or auto.")] = "auto",
    learning_rate_multiplier: Annotated[str, typer.Option(help="A number, or auto.")] = "auto",
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    eval_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between looks at the validation file.")
    ] = None,
    early_stopping: Annotated[
        int | None, typer.Option(min=1, help="End after so many looks without an improvement.")
    ] = None,
    min_delta: Annotated[
        float | None, typer.Option(min=0, help="An improvement is larger than this, in nats.")
    ] = None,
    keep: Annotated[
        Literal["best", "last"] | None, typer.Option(help="Which step's adapter to keep.")
    ] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Rank of the adapter.")] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Scale of the adapter, over its rank.")
    ] = None,
    dropout: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    target_modules: Annotated[
        str | None, typer.Option(help="all-linear, or names with commas: q_proj,v_proj.")
    ] = None,
    quantization: Annotated[str | None, typer.Option(help="nf4 for QLoRA, or none.")] = None,
    qlora: Annotated[bool, typer.Option("--qlora", help="Same as --quantization nf4.")] = False,
) -> dict[str, Any]:
    """What ``Tunery.submit`` takes beside the training file."""
    rate = _number("--learning-rate-multiplier", learning_rate_multiplier, float)
    return {
        "model": model,
        "validation_file": validation,
        "suffix": suffix,
        "method": method,
        "beta": _number("--beta", beta, float),
        "n_epochs": _number("--n-epochs", n_epochs, int),
        "batch_size": _number("--batch-size", batch_size, int),
        "learning_rate_multiplier": rate,
        "seed": seed,
        "eval_every": eval_every,
        "early_stopping": _given(patience=early_stopping, min_delta=min_delta),
        "keep": keep,
        "lora": _given(
            rank=rank,
            alpha=alpha,
            dropout=dropout,
            target_modules=_modules(target_modules),
            quantization="nf4" if qlora else quantization,
        ),
    }


def _given(**values: object) -> dict[str, object] | None:
    return {name: value for name, value in values.items() if value is not None} or None


def _modules(text: str | None) -> Modules | None:
    if text is None:
        return None
    if text == "all-linear":
        return "all-linear"
    return [name.strip() for name in text.split(",") if name.strip()]


def _number(option: str, text: str, kind: Callable[[str], Number]) -> Number | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return kind(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is neither a number nor auto", param_hint=option
        ) from error

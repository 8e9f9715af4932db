"""``tunery merge``: an adapter and its base model as one model."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunery_server.cli.context import open_record, settings_of, told_apart
from tunery_server.processes.environment import for_training

if TYPE_CHECKING:
    from tunery_server.config import Settings


def merge(
    model: Annotated[str, typer.Argument(help="The adapter's model name.")],
    to: Annotated[Path, typer.Option("--to", help="A folder that is not there yet.")],
    tenant: Annotated[str, typer.Option(help="Whose adapter it is.")] = "default",
) -> None:
    """Write full weights of the base model with an adapter in them, on this machine."""
    with told_apart():
        settings = settings_of()
        adapter = _folder(settings, tenant, model)
        if to.exists():
            raise typer.BadParameter(f"{to} is there already.", param_hint="--to")
    words = [settings.base_model_path, str(adapter), str(to)]
    # A process of its own, so that its memory is gone with it, and no server setting in it.
    command = [sys.executable, "-m", "tunery_adapters.training.merge", *words]
    nice = ["nice", "-n", str(settings.trainer_niceness)]
    ran = subprocess.run(
        [*nice, *command], env=for_training(settings.threads_of_a_trainer), check=False
    )
    if ran.returncode != 0:
        raise typer.Exit(1)
    typer.echo(str(to))


def _folder(settings: "Settings", tenant: str, model: str) -> Path:
    """The adapter's files, after a look at their hashes. Raises NotFound."""
    from tunery_adapters.errors import AdapterError  # noqa: PLC0415 - slow to import
    from tunery_adapters.store import AdapterStore  # noqa: PLC0415
    from tunery_server.errors import NotFound  # noqa: PLC0415
    from tunery_server.records.adapters import AdapterRecords  # noqa: PLC0415

    with open_record(settings) as database:
        adapter = AdapterRecords(database).get(tenant, model)
    if adapter is None:
        raise NotFound(f"The tenant {tenant!r} has no adapter {model!r}.")
    store = AdapterStore(settings.home / "adapters")
    try:
        store.verify(adapter.adapter_id, adapter.version)
        return store.path(adapter.adapter_id, adapter.version)
    except AdapterError as error:
        raise NotFound(f"The adapter cannot be read: {error.message}.") from error

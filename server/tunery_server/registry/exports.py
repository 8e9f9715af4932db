"""An adapter as a file to take along: weights, configuration and card, as a hub's folder holds."""

from tunery_adapters.archive import CARD
from tunery_adapters.card import card
from tunery_adapters.errors import AdapterNotFoundError
from tunery_adapters.manifest import Manifest
from tunery_adapters.peft_files import CONFIG, WEIGHTS
from tunery_adapters.store import AdapterStore
from tunery_adapters.tarball import Tarball
from tunery_server.errors import NotFound
from tunery_server.records.rows import Adapter


class Exports:
    """Reads what is published. Blocking."""

    def __init__(self, store: AdapterStore) -> None:
        self._store = store

    def manifest(self, adapter: Adapter) -> Manifest:
        """What is known of an adapter. Raises NotFound when its files are gone."""
        try:
            return self._store.manifest(adapter.adapter_id, adapter.version)
        except AdapterNotFoundError as error:
            raise _gone(adapter) from error

    def content(self, adapter: Adapter) -> Tarball:
        """Its files, opened, so that a deletion meanwhile does not cut them short.

        Raises NotFound when they are gone.
        """
        text = card(self.manifest(adapter))
        try:
            folder = self._store.path(adapter.adapter_id, adapter.version)
            return Tarball.of([folder / CONFIG, folder / WEIGHTS], [(CARD, text)])
        except (AdapterNotFoundError, FileNotFoundError) as error:
            raise _gone(adapter) from error


def _gone(adapter: Adapter) -> NotFound:
    return NotFound(
        f"The model {adapter.model!r} does not exist.", code="model_not_found", param="model"
    )

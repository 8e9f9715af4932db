"""The fixtures of the adapters' unit tests."""

from tests.unit.adapters.folders import make_folder

__all__ = ["make_folder"]

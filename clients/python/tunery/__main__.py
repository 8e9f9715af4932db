"""``python -m tunery``: the ``tunery`` command."""

from .cli import main

main()

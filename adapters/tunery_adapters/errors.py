"""What can be wrong with an adapter.

AdapterError
├── InvalidAdapterError    the files are not a LoRA adapter that the engine can serve
├── AdapterNotFoundError   no such version is published
├── AdapterExistsError     that version is published already, with other contents
└── AdapterDamagedError    a published file is not what its manifest says
"""


class AdapterError(Exception):
    """Any fault of an adapter. ``message`` is fit for a user: it holds no path of this machine."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidAdapterError(AdapterError):
    """The files are refused. ``param`` names the file, key or tensor at fault."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


class AdapterNotFoundError(AdapterError):
    """No such adapter version is published."""


class AdapterExistsError(AdapterError):
    """The version is published already and its contents differ: versions never change."""


class AdapterDamagedError(AdapterError):
    """A published file is missing or its hash is not the manifest's."""

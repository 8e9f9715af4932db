"""What can be wrong with an adapter.

AdapterError
├── InvalidAdapterError    the files are not a LoRA adapter that the engine can serve
│   ├── UnsupportedAdapterError    its configuration asks for what cannot be served
│   ├── OtherBaseError             it belongs to another base model
│   ├── UnsupportedArchiveError    an archive that is no tar, tar.gz or zip of the expected files
│   └── ArchiveTooLargeError       an archive that unpacks to more than an adapter can weigh
├── AdapterNotFoundError   no such version is published
├── AdapterExistsError     that version is published already, with other contents
├── BaseModelAbsentError   the base model's files are not there to compare with
└── AdapterDamagedError    a published file is not what its manifest says
"""


class AdapterError(Exception):
    """Any fault of an adapter. ``message`` is fit for a user: it holds no path of this machine."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidAdapterError(AdapterError):
    """The files are refused. ``param`` names the file, key or tensor at fault."""

    code = "invalid_adapter"

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


class UnsupportedAdapterError(InvalidAdapterError):
    """``param`` is the key of the configuration that the engine cannot serve."""

    code = "unsupported_value"


class OtherBaseError(InvalidAdapterError):
    """The configuration names another base model, or what is no model's name."""

    code = "invalid_value"


class UnsupportedArchiveError(InvalidAdapterError):
    """Another kind of archive, or a member that does not belong to an adapter."""

    code = "unsupported_format"


class ArchiveTooLargeError(InvalidAdapterError):
    """Reading was broken off: what comes out is more than an adapter can be."""

    code = "request_too_large"


class AdapterNotFoundError(AdapterError):
    """No such adapter version is published."""


class AdapterExistsError(AdapterError):
    """The version is published already and its contents differ: versions never change."""


class AdapterDamagedError(AdapterError):
    """A published file is missing or its hash is not the manifest's."""


class BaseModelAbsentError(AdapterError):
    """Nothing can be said of an adapter yet: its base model is not on this machine."""

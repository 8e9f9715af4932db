"""Where the server is and which key opens it: arguments, then environment, then this machine."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ._errors import MissingKeyError

DEFAULT_BASE_URL = "http://127.0.0.1:8000/v1"
KEY_FILE = "admin.key"

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def find_base_url(environ: Mapping[str, str] = os.environ) -> str:
    """The server's URL, ending in ``/v1``; an empty variable counts as unset."""
    return environ.get("TUNERY_BASE_URL") or environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL


def find_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder in which a server on this machine keeps its data and its admin key."""
    if home := environ.get("TUNERY_HOME"):
        return Path(home).expanduser()
    data = environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "tunery"


def find_api_key(base_url: str, environ: Mapping[str, str] = os.environ) -> str:
    """The key from the environment, else the admin key of a server on this machine.

    The key file is read for a loopback URL only: another host must not be sent this machine's key.

    Raises:
        MissingKeyError: no key anywhere; the message says what to do.
    """
    if key := environ.get("TUNERY_API_KEY") or environ.get("OPENAI_API_KEY"):
        return key
    if urlsplit(base_url).hostname not in _LOOPBACK:
        raise MissingKeyError(
            f"no key for {base_url}: set TUNERY_API_KEY, or pass api_key (--api-key)"
        )
    return _read_key(find_home(environ) / KEY_FILE)


def _read_key(path: Path) -> str:
    try:
        key = path.read_text().strip()
    except FileNotFoundError:
        key = ""
    except OSError as error:
        raise MissingKeyError(f"cannot read the key file {path}: {error.strerror}") from error
    if not key:
        raise MissingKeyError(
            f"no key: there is none in {path}. Start a server on this machine with `tunery serve`,"
            " set TUNERY_API_KEY, or pass api_key (--api-key)"
        )
    return key

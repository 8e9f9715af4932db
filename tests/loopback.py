"""An app behind the server's own HTTP, on a loopback port, in a thread of the test's process."""

import contextlib
import threading
import time
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from tunery_server.config import Settings
from tunery_server.gateway.app import http_options

_START_S = 30.0


@contextlib.contextmanager
def serving(app: FastAPI, settings: Settings, *, within: ASGIApp | None = None) -> Iterator[str]:
    """Base URL of the running app, which has ended afterwards; ``within`` is what wraps it."""
    options = http_options(settings, app)
    server = uvicorn.Server(uvicorn.Config(within or app, port=settings.port, **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + _START_S
        while not server.started:
            assert thread.is_alive(), "the app did not start"
            assert time.monotonic() < deadline, "the app did not start in time"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{settings.port}"
    finally:
        server.should_exit = True
        thread.join(_START_S)
        assert not thread.is_alive(), "the app did not end"

"""uvicorn, but a second SIGTERM ends what the first one waits for."""

import sys
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE


class HttpServer(uvicorn.Server):
    """Drains when it is told to end, and ends at once when it is told so again.

    uvicorn's own takes only a SIGINT for that.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain, or no longer wait."""
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)


def serve(app: FastAPI, **options: Any) -> None:
    """Serve until a signal says otherwise; exits with uvicorn's status when it cannot start."""
    server = HttpServer(uvicorn.Config(app, **options))
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)

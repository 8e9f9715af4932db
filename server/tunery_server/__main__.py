"""``python -m tunery_server``: the server's own commands, without the client."""

from tunery_server.cli import app

if __name__ == "__main__":
    app()

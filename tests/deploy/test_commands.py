"""Every command that a deployment runs is one that the server has."""

from typer.main import get_command

from tests.deploy.deployed import commands
from tunery_server.cli import app


def test_the_declared_commands_are_those_of_the_server() -> None:
    assert commands() == set(get_command(app).commands)  # type: ignore[attr-defined]

"""``client.aliases`` and ``tunery aliases`` against a gateway that listens."""

import json

import openai
import pytest
from typer.testing import CliRunner, Result

from tests.contract.live import Live
from tunery import AsyncTunery, Tunery
from tunery._aliases import Alias
from tunery.cli._app import app
from tunery_server.gateway.protocol.aliases import AliasObject


def test_the_client_knows_every_field_of_an_alias() -> None:
    assert Alias.model_fields.keys() == AliasObject.model_fields.keys()


def test_a_name_is_given_split_rolled_back_and_taken_away(live: Live) -> None:
    client = Tunery(base_url=f"{live.url}/v1", api_key=live.gateway.key)
    old, new = (live.gateway.publish().model for _ in range(2))
    assert client.aliases.create("first", model=old).revision == 1
    alias = client.aliases.move("first", model=old, canary=(new, 0.1), revision=1)
    assert alias.canary is not None
    assert (alias.canary.model, alias.canary.weight) == (new, 0.1)
    assert client.aliases.roll_back("first").canary is None
    assert [one.revision for one in client.aliases.revisions("first")] == [3, 2, 1]
    assert [one.revision for one in client.aliases.revisions("first", before=2)] == [1]
    assert "first" in [one.id for one in client.aliases.list()]
    with pytest.raises(openai.BadRequestError) as late:
        client.aliases.move("first", model=new, revision=1)
    assert late.value.code == "alias_moved"
    assert client.aliases.delete("first").deleted
    with pytest.raises(openai.NotFoundError):
        client.aliases.retrieve("first")


async def test_the_same_to_await(live: Live) -> None:
    async with AsyncTunery(base_url=f"{live.url}/v1", api_key=live.gateway.key) as client:
        await client.aliases.create("second", model="base")
        new = live.gateway.publish().model
        assert (await client.aliases.move("second", model=new)).model == new
        assert (await client.aliases.roll_back("second", revision=1)).model == "base"
        assert len(await client.aliases.revisions("second")) == 3
        assert "second" in [alias.id async for alias in client.aliases.list()]
        assert (await client.aliases.delete("second")).deleted


class TestCommand:
    @pytest.fixture(autouse=True)
    def _environment(self, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TUNERY_BASE_URL", f"{live.url}/v1")
        monkeypatch.setenv("TUNERY_API_KEY", live.gateway.key)

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, words)

    def test_a_life(self, live: Live) -> None:
        new = live.gateway.publish().model
        made = self.run("aliases", "create", "third", "base")
        assert made.exit_code == 0, made.output
        moved = self.run("--json", "aliases", "move", "third", "base", "--canary", f"{new}=0.25")
        # The gateway of this process logs to the same stream.
        [said] = [line for line in moved.output.splitlines() if line.startswith("{")]
        assert json.loads(said)["canary"] == {"model": new, "weight": 0.25}
        assert f"25% {new}" in self.run("aliases", "list").output
        assert self.run("aliases", "rollback", "third").exit_code == 0
        told = self.run("aliases", "history", "third").output
        assert "rolled back to revision 1" in told
        assert "created" in told
        assert "deleted third\n" in self.run("aliases", "delete", "third").output

    def test_a_canary_without_a_weight_is_told_what_it_lacks(self) -> None:
        wrong = self.run("aliases", "create", "fourth", "base", "--canary", "ft:x")
        assert wrong.exit_code == 2
        assert "MODEL=WEIGHT" in wrong.output

"""Deleted means gone, and another tenant's means not there: two tenants against a dictionary.

Hypothesis draws steps on files, models and webhook endpoints of both. After each step the server
says what a plain dictionary of owners says.
"""

from collections.abc import Callable
from dataclasses import dataclass

import httpx2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    multiple,
    rule,
    run_state_machine_as_test,
)

from .live import Live

EXAMPLES, STEPS = 40, 50
TENANTS = ("acme", "rival")
MOST = 10
"""Objects of one kind and tenant: below every quota."""


@dataclass(frozen=True)
class Kind:
    """What can be made, seen and deleted. ``below`` are paths under an object's own."""

    path: str
    make: Callable[[Live, httpx2.Client, str], str]
    below: tuple[str, ...] = ("",)


def a_file(live: Live, client: httpx2.Client, tenant: str) -> str:
    form = {"file": ("notes.txt", b"Arrr.")}
    made = client.post("/v1/files", files=form, data={"purpose": "user_data"})
    return str(made.raise_for_status().json()["id"])


def an_endpoint(live: Live, client: httpx2.Client, tenant: str) -> str:
    wanted = {"name": "x", "url": f"{live.url}/livez", "event_types": ["batch.completed"]}
    return str(client.post("/v1/webhook_endpoints", json=wanted).raise_for_status().json()["id"])


def a_model(live: Live, client: httpx2.Client, tenant: str) -> str:
    return live.gateway.publish(tenant).model


KINDS = {
    "file": Kind("/v1/files", a_file, ("", "/content")),
    "endpoint": Kind("/v1/webhook_endpoints", an_endpoint),
    "model": Kind("/v1/models", a_model),
}


@dataclass(frozen=True)
class Object:
    """One that was made, whether or not it is still there."""

    kind: str
    id: str

    @property
    def path(self) -> str:
        return f"{KINDS[self.kind].path}/{self.id}"


class Tenants(RuleBasedStateMachine):
    """The server, and who owns what according to a dictionary."""

    objects = Bundle("objects")

    def __init__(self, live: Live) -> None:
        super().__init__()
        self.live = live
        self.clients = {
            tenant: httpx2.Client(
                base_url=live.url, headers={"Authorization": f"Bearer {live.keys[tenant]}"}
            )
            for tenant in TENANTS
        }
        self.owners: dict[Object, str] = {}

    @rule(target=objects, tenant=st.sampled_from(TENANTS), kind=st.sampled_from(sorted(KINDS)))
    def make(self, tenant: str, kind: str) -> Object:
        if len(self.of(tenant, kind)) == MOST:
            return multiple()  # type: ignore[return-value]
        made = Object(kind, KINDS[kind].make(self.live, self.clients[tenant], tenant))
        assert made not in self.owners, "an id was given twice"
        self.owners[made] = tenant
        return made

    @rule(seen=objects, tenant=st.sampled_from(TENANTS))
    def look(self, seen: Object, tenant: str) -> None:
        for below in KINDS[seen.kind].below:
            answer = self.clients[tenant].get(seen.path + below)
            if self.owners.get(seen) == tenant:
                assert answer.status_code == 200
            else:
                self.must_look_absent(answer, seen, below, tenant)

    @rule(doomed=objects, tenant=st.sampled_from(TENANTS))
    def delete(self, doomed: Object, tenant: str) -> None:
        answer = self.clients[tenant].delete(doomed.path)
        if self.owners.get(doomed) != tenant:
            assert answer.status_code == 404
            return
        assert answer.json()["deleted"] is True
        del self.owners[doomed]

    @rule(tenant=st.sampled_from(TENANTS), kind=st.sampled_from(sorted(KINDS)))
    def list_all(self, tenant: str, kind: str) -> None:
        page = self.clients[tenant].get(KINDS[kind].path).raise_for_status().json()
        listed = {item["id"] for item in page["data"]} - {"base"}
        assert listed == {owned.id for owned in self.of(tenant, kind)}

    def of(self, tenant: str, kind: str) -> list[Object]:
        """What a tenant owns of a kind."""
        return [one for one, owner in self.owners.items() if (owner, one.kind) == (tenant, kind)]

    def must_look_absent(
        self, answer: httpx2.Response, seen: Object, below: str, tenant: str
    ) -> None:
        """The same bytes as for an id that never was."""
        never = seen.id[:-1] + ("0" if seen.id[-1] != "0" else "1")
        absent = self.clients[tenant].get(f"{KINDS[seen.kind].path}/{never}{below}")
        assert (answer.status_code, absent.status_code) == (404, 404)
        assert answer.text == absent.text.replace(never, seen.id)

    def teardown(self) -> None:
        for left, owner in list(self.owners.items()):
            self.delete(left, owner)
        for client in self.clients.values():
            client.close()


@pytest.mark.timeout(280)
def test_a_tenant_sees_what_it_owns_and_nothing_else(live: Live) -> None:
    drawn = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Tenants(live), settings=drawn)

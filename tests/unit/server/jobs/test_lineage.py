"""Which adapter a job goes on from, and the shape that follows."""

from typing import Any

import pytest

from tests.rows import an_adapter
from tunery_adapters.spec import LoraSpec
from tunery_server.errors import InvalidRequest, NotFound
from tunery_server.jobs.lineage import Lineage, lora_of
from tunery_server.jobs.names import checkpoint_name
from tunery_server.jobs.request import JobRequest
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database
from tunery_server.records.permissions import PermissionRecords
from tunery_server.records.rows import Permission

PARENT = an_adapter(rank=8, alpha=16.0, target_modules=("k_proj", "q_proj"))


@pytest.fixture
def adapters(database: Database) -> AdapterRecords:
    adapters = AdapterRecords(database)
    adapters.add(PARENT)
    return adapters


@pytest.fixture
def lineage(adapters: AdapterRecords) -> Lineage:
    return Lineage(base_model="base", adapters=adapters)


def refused(lineage: Lineage, model: str, tenant_id: str = "acme") -> NotFound:
    with pytest.raises(NotFound) as raised:
        lineage.parent(tenant_id, model)
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
    return raised.value


def test_the_base_model_is_nobodys_child(lineage: Lineage) -> None:
    assert lineage.parent("acme", "base") is None


def test_an_adapter_of_the_tenants_own_is_gone_on_from(lineage: Lineage) -> None:
    assert lineage.parent("acme", PARENT.model) == PARENT


def test_so_is_a_checkpoint(lineage: Lineage, adapters: AdapterRecords) -> None:
    checkpoint = an_adapter(model=checkpoint_name(PARENT.model, 20), step=20)
    adapters.add(checkpoint)
    assert lineage.parent("acme", checkpoint.model) == checkpoint


@pytest.mark.parametrize("model", ["", "gpt-4o", "/etc/passwd", "ft:base:tunery::gone"])
def test_anything_else_is_not_found(lineage: Lineage, model: str) -> None:
    assert "'base'" in refused(lineage, model).message


def test_a_long_name_is_not_repeated_whole(lineage: Lineage) -> None:
    assert len(refused(lineage, "x" * 10_000).message) < 400


def test_an_adapter_that_was_only_shared_is_another_tenants(
    lineage: Lineage, database: Database
) -> None:
    """A permission is for inference: what is made from an adapter would outlive it."""
    shared = Permission(id="cp_1", model=PARENT.model, project_id="rival", created_at=1.0)
    PermissionRecords(database).add("acme", [shared])
    refused(lineage, PARENT.model, tenant_id="rival")


def test_a_deleted_adapter_is_not_found(lineage: Lineage, adapters: AdapterRecords) -> None:
    adapters.retire("acme", PARENT.model, 1.0)
    refused(lineage, PARENT.model)


def test_an_adapter_of_another_base_is_not_found(
    lineage: Lineage, adapters: AdapterRecords
) -> None:
    other = an_adapter(base_model="other")
    adapters.add(other)
    refused(lineage, other.model)


def asked(**lora: Any) -> JobRequest:
    return JobRequest(
        model=PARENT.model,
        training_file="file-a",
        lora=LoraSpec(**lora),
        lora_given=tuple(lora),
    )


def test_without_a_parent_the_shape_is_what_was_asked_for() -> None:
    assert lora_of(asked(rank=4), None) == LoraSpec(rank=4)


@pytest.mark.parametrize(
    "lora",
    [{}, {"rank": 8}, {"alpha": 16}, {"target_modules": ("q_proj", "k_proj")}],
    ids=["nothing", "rank", "alpha", "modules"],
)
def test_the_parents_shape_may_be_left_out_or_said_again(lora: dict[str, Any]) -> None:
    found = lora_of(asked(**lora), PARENT)
    assert (found.rank, found.alpha) == (8, 16.0)
    assert found.target_modules == ("k_proj", "q_proj")


def test_how_it_trains_is_the_childs_own() -> None:
    found = lora_of(asked(dropout=0.2, quantization="nf4"), PARENT)
    assert (found.dropout, found.quantization) == (0.2, "nf4")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("rank", 16, "8"),
        ("alpha", 32.0, "16.0"),
        ("target_modules", ("q_proj",), "k_proj, q_proj"),
        ("target_modules", "all-linear", "k_proj, q_proj"),
    ],
)
def test_a_shape_that_contradicts_the_parents_is_refused(name: str, value: Any, told: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        lora_of(asked(**{name: value}), PARENT)
    assert raised.value.param == f"lora.{name}"
    assert told in raised.value.message

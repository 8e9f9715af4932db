"""Bad requests for fine-tuning jobs, and bad queries."""

from typing import Any

import pytest

from .composed import Gateway

JOB = {"model": "base", "training_file": "file-none"}

WRONG: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "model": ({"model": "other"}, "model_not_found", "model"),
    "model-null": ({"model": None}, "invalid_type", "model"),
    "file-absent": ({}, "not_found", "training_file"),
    "file-path": ({"training_file": "file-../../x"}, "not_found", "training_file"),
    "file-long": ({"training_file": "x" * 129}, "string_above_max_length", "training_file"),
    "suffix-empty": ({"suffix": ""}, "invalid_value", "suffix"),
    "suffix-long": ({"suffix": "x" * 65}, "string_above_max_length", "suffix"),
    "suffix-path": ({"suffix": "../../x"}, "invalid_value", "suffix"),
    "suffix-shell": ({"suffix": "$(id)"}, "invalid_value", "suffix"),
    "suffix-newline": ({"suffix": "a\n"}, "invalid_value", "suffix"),
    "suffix-emoji": ({"suffix": "😀"}, "invalid_value", "suffix"),
    "seed-low": ({"seed": -1}, "integer_below_min_value", "seed"),
    "seed-high": ({"seed": 2**31}, "integer_above_max_value", "seed"),
    "metadata-value": ({"metadata": {"a": "x" * 513}}, "string_above_max_length", "metadata.a"),
    "metadata-number": ({"metadata": {"a": 1}}, "invalid_type", "metadata.a"),
    "metadata-nul": ({"metadata": {"a": "\0"}}, "invalid_value", "metadata.a"),
    "integration": (
        {"integrations": [{"type": "mlflow", "wandb": {"project": "p"}}]},
        "invalid_value",
        "integrations[0].type",
    ),
    "integration-key": (
        {"integrations": [{"type": "wandb", "wandb": {"project": "p", "api_key": "x"}}]},
        "unknown_parameter",
        "integrations[0].wandb.api_key",
    ),
    "integration-bare": (
        {"integrations": [{"type": "wandb"}]},
        "missing_required_parameter",
        "integrations[0].wandb",
    ),
    "method-dpo": ({"method": {"type": "dpo"}}, "unsupported_value", "method.type"),
    "rank-zero": ({"lora": {"rank": 0}}, "integer_below_min_value", "lora.rank"),
    "rank-high": ({"lora": {"rank": 32}}, "integer_above_max_value", "lora.rank"),
    "dropout": ({"lora": {"dropout": 1.0}}, "decimal_above_max_value", "lora.dropout"),
    "alpha": ({"lora": {"alpha": 0}}, "decimal_below_min_value", "lora.alpha"),
    "no-modules": ({"lora": {"target_modules": []}}, "empty_array", "lora.target_modules"),
    "module-regex": (
        {"lora": {"target_modules": ["(a+)+"]}},
        "invalid_value",
        "lora.target_modules[0]",
    ),
    "quantization": ({"lora": {"quantization": "int3"}}, "invalid_value", "lora.quantization"),
    "lora-extra": ({"lora": {"use_dora": True}}, "unknown_parameter", "lora.use_dora"),
}

WRONG_HYPERPARAMETERS: dict[str, tuple[Any, str]] = {
    "n_epochs": (51, "integer_above_max_value"),
    "batch_size": (257, "integer_above_max_value"),
    "learning_rate_multiplier": (0, "decimal_below_min_value"),
}

UNKNOWN = [
    "output_dir", "trust_remote_code", "resume_from_checkpoint", "report_to", "deepspeed",
    "hub_token", "base_model_path", "n_epochs",
]  # fmt: skip


@pytest.fixture
def gateway(refusing_gateway: Gateway) -> Gateway:
    return refusing_gateway


async def refused(gateway: Gateway, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    async with gateway.http() as http:
        answer = await http.post("/v1/fine_tuning/jobs", json=body)
        jobs = await http.get("/v1/fine_tuning/jobs")
    assert jobs.json()["data"] == []
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error


@pytest.mark.parametrize(("change", "code", "param"), WRONG.values(), ids=WRONG)
async def test_a_wrong_field_is_named(
    gateway: Gateway, change: dict[str, Any], code: str, param: str | None
) -> None:
    status, error = await refused(gateway, {**JOB, **change})
    assert (status, error["code"]) == (404 if "not_found" in code else 400, code), error
    if param is not None:
        assert error["param"] == param


@pytest.mark.parametrize("field", UNKNOWN)
async def test_an_unknown_field_is_refused_by_name(gateway: Gateway, field: str) -> None:
    status, error = await refused(gateway, {**JOB, field: 1})
    assert (status, error["code"], error["param"]) == (400, "unknown_parameter", field)


@pytest.mark.parametrize("name", WRONG_HYPERPARAMETERS)
@pytest.mark.parametrize("new", [True, False], ids=["method", "hyperparameters"])
async def test_a_wrong_hyperparameter_is_named(gateway: Gateway, name: str, new: bool) -> None:
    out_of_bounds, code = WRONG_HYPERPARAMETERS[name]
    where = "method.supervised.hyperparameters" if new else "hyperparameters"
    for value, expected in [(out_of_bounds, code), ("often", "invalid_value")]:
        given = {"hyperparameters": {name: value}}
        change = {"method": {"type": "supervised", "supervised": given}} if new else given
        status, error = await refused(gateway, {**JOB, **change})
        assert (status, error["code"]) == (400, expected), error
        assert error["param"] == f"{where}.{name}"


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/fine_tuning/jobs?limit=-1", "limit"),
        ("/v1/fine_tuning/jobs?metadata=x", "metadata"),
        ("/v1/fine_tuning/jobs?metadata=null&metadata[a]=b", "metadata"),
        ("/v1/fine_tuning/jobs?limit=101", "limit"),
        ("/v1/fine_tuning/jobs?limit=x", "limit"),
        ("/v1/fine_tuning/jobs?after=unknown", "after"),
        ("/v1/fine_tuning/jobs?after=" + "x" * 129, "after"),
        ("/v1/files?limit=10001", "limit"),
        ("/v1/files?order=up", "order"),
        ("/v1/files?after=unknown", "after"),
        ("/v1/adapters?after=unknown", "after"),
        ("/v1/adapters?limit=-1", "limit"),
    ],
)
async def test_a_wrong_query_is_named(gateway: Gateway, path: str, param: str) -> None:
    async with gateway.http() as http:
        answer = await http.get(path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", param)


@pytest.mark.parametrize("key", ["a", 'a"b', "$", "%5B%5D", "%00", "%ff", "😀", ""])
async def test_any_metadata_can_be_asked_for(gateway: Gateway, key: str) -> None:
    async with gateway.http() as http:
        answer = await http.get(f"/v1/fine_tuning/jobs?metadata[{key}]=%00%ff")
    assert answer.status_code == 200
    assert answer.json() == {"object": "list", "data": [], "has_more": False}


async def test_too_many_metadata_filters_are_refused(gateway: Gateway) -> None:
    query = "&".join(f"metadata[{number}]=x" for number in range(17))
    async with gateway.http() as http:
        assert (await http.get(f"/v1/fine_tuning/jobs?{query}")).status_code == 400


@pytest.mark.parametrize("name", ["x", "..%2F..%2Fx", "%00", "%ff", "x" * 10_000, "😀"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/fine_tuning/jobs/{}"),
        ("POST", "/v1/fine_tuning/jobs/{}/cancel"),
        ("GET", "/v1/fine_tuning/jobs/{}/events"),
        ("GET", "/v1/fine_tuning/jobs/{}/checkpoints"),
        ("GET", "/v1/files/{}"),
        ("GET", "/v1/files/{}/content"),
        ("DELETE", "/v1/files/{}"),
        ("GET", "/v1/models/{}"),
        ("DELETE", "/v1/models/{}"),
        ("GET", "/v1/adapters/{}"),
        ("DELETE", "/v1/adapters/{}"),
    ],
)
async def test_an_unknown_id_is_not_found(
    gateway: Gateway, method: str, path: str, name: str
) -> None:
    async with gateway.http() as http:
        answer = await http.request(method, path.format(name))
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"

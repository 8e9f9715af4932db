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
    "priority-low": ({"priority": -101}, "integer_below_min_value", "priority"),
    "priority-high": ({"priority": 101}, "integer_above_max_value", "priority"),
    "priority-word": ({"priority": "high"}, "invalid_type", "priority"),
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
    "beta-zero": (
        {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0}}}},
        "decimal_below_min_value",
        "method.dpo.hyperparameters.beta",
    ),
    "beta-large": (
        {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 2.5}}}},
        "decimal_above_max_value",
        "method.dpo.hyperparameters.beta",
    ),
    "beta-text": (
        {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": "much"}}}},
        "invalid_type",
        "method.dpo.hyperparameters.beta",
    ),
    "beta-supervised": (
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"beta": 1.0}}}},
        "unknown_parameter",
        "method.supervised.hyperparameters.beta",
    ),
    "patience": (
        {"training": {"early_stopping": {"patience": 0}}},
        "integer_below_min_value",
        "training.early_stopping.patience",
    ),
    "min-delta": (
        {"training": {"early_stopping": {"min_delta": -0.5}}},
        "decimal_below_min_value",
        "training.early_stopping.min_delta",
    ),
    "eval-every": (
        {"training": {"eval_every": 0}},
        "integer_below_min_value",
        "training.eval_every",
    ),
    "keep": ({"training": {"keep": "worst"}}, "invalid_value", "training.keep"),
    "training-extra": ({"training": {"eval": 1}}, "unknown_parameter", "training.eval"),
    "training-null": ({"training": None}, "invalid_type", "training"),
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

HYPER = "hyperparameters"

HOSTILE: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "model-nul": ({"model": "base\0"}, "invalid_value", "model"),
    "model-path": ({"model": "/etc/passwd"}, "model_not_found", "model"),
    "model-url": ({"model": "http://127.0.0.1/x"}, "model_not_found", "model"),
    "model-hub": ({"model": "org/model"}, "model_not_found", "model"),
    "model-10-kB": ({"model": "x" * 10_000}, "model_not_found", "model"),
    "model-list": ({"model": ["base"]}, "invalid_type", "model"),
    "model-empty": ({"model": ""}, "string_below_min_length", "model"),
    "file-nul": ({"training_file": "file-\0"}, "invalid_value", "training_file"),
    "file-object": ({"training_file": {"id": "x"}}, "invalid_type", "training_file"),
    "file-null": ({"training_file": None}, "invalid_type", "training_file"),
    "validation-number": ({"validation_file": 5}, "invalid_type", "validation_file"),
    "suffix-number": ({"suffix": 5}, "invalid_type", "suffix"),
    "suffix-nul": ({"suffix": "a\0"}, "invalid_value", "suffix"),
    "suffix-colon": ({"suffix": "a:b"}, "invalid_value", "suffix"),
    "suffix-semicolon": ({"suffix": "a;rm"}, "invalid_value", "suffix"),
    "suffix-dots": ({"suffix": ".."}, "invalid_value", "suffix"),
    "suffix-right-to-left": ({"suffix": "a\u202eb"}, "invalid_value", "suffix"),
    "suffix-joined": ({"suffix": "a\u200bb"}, "invalid_value", "suffix"),
    "suffix-other-letters": ({"suffix": "\u0430dmin"}, "invalid_value", "suffix"),
    "suffix-other-digits": ({"suffix": "a\u0663"}, "invalid_value", "suffix"),
    "suffix-1-MB": ({"suffix": "a" * 2**20}, "string_above_max_length", "suffix"),
    "seed-true": ({"seed": True}, "invalid_type", "seed"),
    "seed-float": ({"seed": 1.0}, "invalid_type", "seed"),
    "seed-text": ({"seed": "1"}, "invalid_type", "seed"),
    "seed-2^70": ({"seed": 2**70}, "invalid_type", "seed"),
    "method-text": ({"method": "supervised"}, "invalid_type", "method"),
    "method-empty": ({"method": {}}, "missing_required_parameter", "method.type"),
    "method-reinforcement": (
        {"method": {"type": "reinforcement", "reinforcement": {}}},
        "unsupported_value",
        "method.type",
    ),
    "method-list": ({"method": {"type": ["supervised"]}}, "invalid_value", "method.type"),
    "method-deep": (
        {
            "method": {
                "type": "supervised",
                "reinforcement": {"a": [[[[[[{}] * 2] * 2] * 2] * 2] * 2]},
            }
        }
        | {"seed": -1},
        "integer_below_min_value",
        "seed",
    ),
    "hyper-list": ({HYPER: []}, "invalid_type", HYPER),
    "hyper-unknown": ({HYPER: {"warmup": 1}}, "unknown_parameter", f"{HYPER}.warmup"),
    "epochs-float": ({HYPER: {"n_epochs": 3.0}}, "invalid_type", f"{HYPER}.n_epochs"),
    "epochs-true": ({HYPER: {"n_epochs": True}}, "invalid_type", f"{HYPER}.n_epochs"),
    "epochs-zero": ({HYPER: {"n_epochs": 0}}, "integer_below_min_value", f"{HYPER}.n_epochs"),
    "batch-zero": ({HYPER: {"batch_size": 0}}, "integer_below_min_value", f"{HYPER}.batch_size"),
    "batch-minus": ({HYPER: {"batch_size": -1}}, "integer_below_min_value", f"{HYPER}.batch_size"),
    "rate-minus": (
        {HYPER: {"learning_rate_multiplier": -1}},
        "decimal_below_min_value",
        f"{HYPER}.learning_rate_multiplier",
    ),
    "rate-10^9": (
        {HYPER: {"learning_rate_multiplier": 1e9}},
        "decimal_above_max_value",
        f"{HYPER}.learning_rate_multiplier",
    ),
    "rate-text": (
        {HYPER: {"learning_rate_multiplier": "1e-4"}},
        "invalid_type",
        f"{HYPER}.learning_rate_multiplier",
    ),
    "metadata-17": (
        {"metadata": {str(number): "" for number in range(17)}},
        "array_above_max_length",
        "metadata",
    ),
    "metadata-key": ({"metadata": {"k" * 65: ""}}, "string_above_max_length", None),
    "metadata-empty-key": ({"metadata": {"": "x"}}, "string_below_min_length", None),
    "metadata-nul-key": ({"metadata": {"a\0": ""}}, "invalid_value", None),
    "metadata-list": ({"metadata": ["a"]}, "invalid_type", "metadata"),
    "integrations-object": ({"integrations": {}}, "invalid_type", "integrations"),
    "lora-list": ({"lora": []}, "invalid_type", "lora"),
    "lora-rank-float": ({"lora": {"rank": 8.0}}, "invalid_type", "lora.rank"),
    "lora-modules-33": (
        {"lora": {"target_modules": ["q_proj"] * 33}},
        "array_above_max_length",
        "lora.target_modules",
    ),
    "lora-module-path": (
        {"lora": {"target_modules": ["../x"]}},
        "invalid_value",
        "lora.target_modules[0]",
    ),
    "lora-alpha-10^300": ({"lora": {"alpha": 1e300}}, "decimal_above_max_value", "lora.alpha"),
    "lora-pattern": ({"lora": {"rank_pattern": {"(a+)+": 1}}}, "unknown_parameter", None),
    "many-fields": ({f"f{number}": 1 for number in range(5000)}, "invalid_value", None),
    "init": ({"__init__": 1}, "unknown_parameter", "__init__"),
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


@pytest.mark.parametrize(
    ("change", "code", "param"), [*WRONG.values(), *HOSTILE.values()], ids=[*WRONG, *HOSTILE]
)
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
    for value, expected in [(out_of_bounds, code), ("often", "invalid_type")]:
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


@pytest.mark.parametrize("key", ["a", 'a"b', "$", "%5B%5D", "%ff", "😀", ""])
async def test_any_metadata_can_be_asked_for(gateway: Gateway, key: str) -> None:
    async with gateway.http() as http:
        answer = await http.get(f"/v1/fine_tuning/jobs?metadata[{key}]=%ff")
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

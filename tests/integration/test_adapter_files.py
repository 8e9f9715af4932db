"""A trained adapter, taken along and brought back, is the same one to the real engine.

Costs some three seconds beside the server and the job, which other tests want anyway.
"""

from pathlib import Path

import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.pirates import ask
from tests.servers import RunningServer
from tunery import Tunery

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


def test_what_was_exported_answers_as_before_when_it_is_imported(
    server: RunningServer, lora_job: FineTuningJob, tmp_path: Path
) -> None:
    with Tunery(base_url=f"{server.url}/v1", api_key=server.key) as client:
        trained = client.adapters.retrieve(str(lora_job.fine_tuned_model))
        client.adapters.save(trained.model, tmp_path / "hub")
        imported = client.adapters.upload(tmp_path / "hub", suffix="again")
        assert (imported.sha256, imported.residency) == (trained.sha256, "loaded")
        assert ask(client, imported.model) == ask(client, trained.model)
        told = trained.provenance or {}
        assert told["base_sha256"] == (imported.provenance or {})["base_sha256"]
        assert told["trained_tokens"] == lora_job.trained_tokens
        assert told["training_s"] > 0
        assert told["libraries"].keys() >= {"torch", "transformers", "peft"}
        client.adapters.delete(imported.model)
        assert ask(client, trained.model).startswith("Arrr")

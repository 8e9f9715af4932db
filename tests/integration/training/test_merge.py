"""A merged model is the base with its adapter. Costs a process that loads torch: ten seconds."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner, Result

from tests.rows import NOW, an_adapter
from tunery_adapters.manifest import Provenance
from tunery_adapters.store import AdapterStore
from tunery_adapters.training.export import write_adapter
from tunery_adapters.training.failures import InvalidModelError
from tunery_adapters.training.merge import merge
from tunery_server.cli import app
from tunery_server.records.adapters import AdapterRecords
from tunery_server.records.database import Database

pytestmark = [pytest.mark.training, pytest.mark.timeout(300)]

ADAPTER = an_adapter()


@pytest.fixture
def home(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server's data folder with one adapter, whose weights are random on both sides."""
    home = tmp_path / "home"
    monkeypatch.setenv("TUNERY_HOME", str(home))
    monkeypatch.setenv("TUNERY_MODEL", str(tiny_model))
    home.mkdir()
    write_adapter(adapted(tiny_model), tmp_path / "trained")
    AdapterStore(home / "adapters").publish(
        tmp_path / "trained",
        Provenance(
            adapter_id=ADAPTER.adapter_id,
            version=1,
            model=ADAPTER.model,
            base_model="base",
            tenant_id="acme",
            created_at=NOW,
        ),
    )
    database = Database(f"sqlite:///{home / 'tunery.db'}")
    database.migrate()
    AdapterRecords(database).add(ADAPTER)
    database.close()
    return home


def adapted(tiny_model: Path) -> PeftModel:
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(tiny_model, local_files_only=True)
    config = LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False
    )
    model: PeftModel = get_peft_model(base, config)
    return model.eval()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_a_merged_model_says_what_base_and_adapter_say(
    home: Path, tiny_model: Path, tmp_path: Path
) -> None:
    target = tmp_path / "merged"
    done = run("merge", ADAPTER.model, "--tenant", "acme", "--to", str(target))
    assert done.exit_code == 0, done.output
    tokens = torch.tensor([[1, 5, 9, 200, 3]])
    model = adapted(tiny_model)
    merged = AutoModelForCausalLM.from_pretrained(target, local_files_only=True).eval()
    with torch.no_grad():
        expected = model(tokens).logits
        with model.disable_adapter():
            base = model(tokens).logits
        found = merged(tokens).logits
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, base, atol=1e-2)
    assert AutoTokenizer.from_pretrained(target).chat_template
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".tmp-")]
    again = run("merge", ADAPTER.model, "--tenant", "acme", "--to", str(target))
    assert again.exit_code == 2


def test_another_tenants_adapter_is_an_absent_one(home: Path, tmp_path: Path) -> None:
    done = run("merge", ADAPTER.model, "--tenant", "rival", "--to", str(tmp_path / "merged"))
    assert done.exit_code == 2
    assert "has no adapter" in done.stderr


def test_a_quantised_base_is_not_merged_into(tiny_model: Path, tmp_path: Path) -> None:
    config = json.loads((tiny_model / "config.json").read_text())
    base = tmp_path / "quantised"
    base.mkdir()
    quantised = {**config, "quantization_config": {"quant_method": "awq", "bits": 4}}
    (base / "config.json").write_text(json.dumps(quantised))
    with pytest.raises(InvalidModelError):
        merge(str(base), tmp_path, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()

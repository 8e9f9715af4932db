"""``/v1/fine_tuning/jobs``: what a client sends."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from tunery_adapters.spec import EarlyStopping, EvaluationSpec, LoraSpec
from tunery_server.gateway.protocol.base import JsonObject, Metadata, PlainText, Request, only
from tunery_server.jobs.request import JobRequest
from tunery_server.queue.contract import HIGHEST_PRIORITY, LOWEST_PRIORITY
from tunery_server.records.rows import JobMethod


def _auto(value: Any) -> Any:
    if value != "auto":
        raise PydanticCustomError("auto_type", 'must be a number in its bounds, or "auto"')
    return value


_Auto = Annotated[Literal["auto"], BeforeValidator(_auto)]
_Suffix = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
_Short = Annotated[PlainText, StringConstraints(min_length=1, max_length=128)]
_ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class Hyperparameters(Request):
    """Numbers, or "auto"; what "auto" means is in docs/fine-tuning.md."""

    n_epochs: _Auto | Annotated[int, Field(ge=1, le=50)] | None = None
    batch_size: _Auto | Annotated[int, Field(ge=1, le=256)] | None = None
    learning_rate_multiplier: _Auto | Annotated[float, Field(gt=0, le=1000)] | None = None


class DpoHyperparameters(Hyperparameters):
    """Those, and how strongly the model is tied to what it was."""

    beta: _Auto | Annotated[float, Field(gt=0, le=2)] | None = None


class Supervised(Request):
    """The method's own settings."""

    hyperparameters: Hyperparameters | None = None


class Dpo(Request):
    """The method's own settings."""

    hyperparameters: DpoHyperparameters | None = None


class Method(Request):
    """How to train; what is set for a method that was not chosen is idle."""

    type: Annotated[Literal["supervised", "dpo"], only("supervised", "dpo")]
    supervised: Supervised | None = None
    dpo: Dpo | None = None
    reinforcement: JsonObject | None = None

    @property
    def hyperparameters(self) -> Hyperparameters | None:
        """Those of the chosen method."""
        chosen = self.dpo if self.type == "dpo" else self.supervised
        return chosen.hyperparameters if chosen is not None else None


class Wandb(Request):
    """Where a run would be shown."""

    project: _Short
    name: _Short | None = None
    entity: _Short | None = None
    tags: list[_Short] | None = Field(default=None, max_length=64)


class Integration(Request):
    """Kept with the job. Nothing leaves this server: metrics are events and a result file."""

    type: Literal["wandb"]
    wandb: Wandb


class Lora(Request):
    """The adapter's shape, in PEFT's words."""

    rank: int = Field(default=16, ge=1, le=512)
    alpha: float | None = Field(default=None, gt=0, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: (
        Literal["all-linear"] | Annotated[list[_ModuleName], Field(min_length=1, max_length=32)]
    ) = "all-linear"
    quantization: Literal["none", "nf4"] | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """The fields that were asked for."""
        asked = self.model_fields_set
        return tuple(sorted(name for name in asked if getattr(self, name) is not None))

    def spec(self) -> LoraSpec:
        """For the trainer. Alpha is twice the rank unless it is given."""
        modules = self.target_modules
        return LoraSpec(
            rank=self.rank,
            alpha=2.0 * self.rank if self.alpha is None else self.alpha,
            dropout=self.dropout,
            target_modules=modules if isinstance(modules, str) else tuple(modules),
            quantization=self.quantization or "none",
        )


class Stopping(Request):
    """When to end before the last step: after ``patience`` evaluations without an improvement."""

    patience: int = Field(default=3, ge=1, le=1000)
    min_delta: float = Field(default=0.0, ge=0, le=100)

    def spec(self) -> EarlyStopping:
        """For the trainer."""
        return EarlyStopping(patience=self.patience, min_delta=self.min_delta)


class Training(Request):
    """What the validation file decides."""

    eval_every: int | None = Field(default=None, ge=1, le=1_000_000)
    early_stopping: Stopping | None = None
    keep: Literal["best", "last"] = "last"

    def spec(self) -> EvaluationSpec:
        """For the trainer."""
        return EvaluationSpec(
            eval_every=self.eval_every,
            early_stopping=self.early_stopping.spec() if self.early_stopping else None,
            keep=self.keep,
        )


class CreateJob(Request):
    """A fine-tune. ``method`` wins over the older ``hyperparameters``."""

    model: PlainText = Field(min_length=1)
    training_file: PlainText = Field(min_length=1, max_length=128)
    validation_file: PlainText | None = Field(default=None, min_length=1, max_length=128)
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    suffix: _Suffix | None = None
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    integrations: list[Integration] | None = Field(default=None, max_length=5)
    metadata: Metadata | None = None
    priority: int = Field(default=0, ge=LOWEST_PRIORITY, le=HIGHEST_PRIORITY)
    lora: Lora = Field(default_factory=Lora)
    training: Training = Field(default_factory=Training)

    def request(self) -> JobRequest:
        """What the job service takes."""
        chosen = self.method.hyperparameters if self.method is not None else None
        given = chosen or self.hyperparameters or Hyperparameters()
        return JobRequest(
            model=self.model,
            training_file=self.training_file,
            validation_file=self.validation_file,
            method=JobMethod(self.method.type if self.method is not None else "supervised"),
            suffix=self.suffix,
            seed=self.seed,
            **_numbers(given),
            priority=self.priority,
            lora=self.lora.spec(),
            lora_given=self.lora.given,
            training=self.training.spec(),
            metadata=self.metadata,
            integrations=self._integrations(),
        )

    def _integrations(self) -> list[dict[str, Any]] | None:
        if self.integrations is None:
            return None
        return [integration.model_dump(exclude_none=True) for integration in self.integrations]


def _numbers(given: Hyperparameters) -> dict[str, Any]:
    """Without what was left to the server."""
    numbers = given.model_dump(exclude_none=True)
    return {name: value for name, value in numbers.items() if value != "auto"}

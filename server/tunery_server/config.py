"""Settings: environment first, then ``$TUNERY_HOME/tunery.toml``, then the defaults here.

A setting is ``TUNERY_`` and its name in capitals. Engine settings bear vLLM's own names, unchanged.
``DATABASE_URL`` and ``REDIS_URL`` go without the prefix, as everywhere else. A name that is not
listed here is refused, whether it comes from the environment or from the file.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tunery_server.errors import ConfigError

PREFIX = "TUNERY_"
BUNDLED_MODEL = "smollm2-135m-instruct"
"""The base model that needs no download: it comes inside a package and is converted at set-up."""

CLIENT_VARIABLES = frozenset({"TUNERY_API_KEY", "TUNERY_BASE_URL"})
"""Read by the client, which may share an environment with the server."""

UNPREFIXED = frozenset({"database_url", "redis_url"})


def default_home() -> Path:
    """``$TUNERY_HOME``, else ``$XDG_DATA_HOME/tunery``, else ``~/.local/share/tunery``."""
    if home := os.environ.get("TUNERY_HOME"):
        return _absolute(Path(home))
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return _absolute(Path(data) / "tunery")


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _number(value: Any) -> Any:
    """The environment holds text, and a literal is not converted."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _words(value: Any) -> Any:
    return (
        [word.strip() for word in value.split(",") if word.strip()]
        if isinstance(value, str)
        else value
    )


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


class Settings(BaseSettings):
    """Everything that an operator can set. Immutable once read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    home: Annotated[Path, AfterValidator(_absolute)] = Field(default_factory=default_home)
    """Data folder: records, files, adapters, the admin key, sockets."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port to listen on."""
    model: str = BUNDLED_MODEL
    """Base model: the bundled one, a local folder, or a hub id."""
    served_model_name: str | None = None
    """Name of the base model on the wire; by default the folder's name or the hub id."""
    organization: str = "tunery"
    """Third part of ``ft:base:organization:suffix:id``."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the engine runs."""
    database_url: str | None = Field(
        default=None, validation_alias=AliasChoices("DATABASE_URL", "database_url")
    )
    """URL of the record: ``postgresql://…`` or ``sqlite:///…``; by default SQLite in the data
    folder. No prefix."""
    redis_url: str | None = Field(
        default=None, validation_alias=AliasChoices("REDIS_URL", "redis_url")
    )
    """A Redis or Valkey of your own (``redis://``, ``rediss://``, ``unix://``). No prefix."""
    require_durable_redis: bool = True
    """Refuse a Redis of your own that has no append-only log, evicts keys, or is older than 6.2."""
    storage: Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]*(/[\w./-]*)?$")] | None = None
    """Where files are kept: ``s3://bucket/prefix``, with the usual ``AWS_…`` variables beside it;
    by default the data folder."""
    storage_cache_bytes: int = Field(default=20 * 2**30, ge=2**20)
    """Copies of files from there that a machine keeps; more while they are in use."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""

    allowed_hosts: Names = Field(default_factory=tuple)
    """Names that a request's Host header may hold, separated by commas; by default any."""
    trusted_proxies: Names = Field(default_factory=tuple)
    """Addresses or networks whose X-Forwarded-For is believed, separated by commas."""
    header_timeout_s: float = Field(default=10.0, gt=0)
    """Longest that the header of a request may take to come."""
    stall_timeout_s: float = Field(default=30.0, gt=0)
    """A client that sends or takes less than 4 kB in this time, amid a body, is cut off."""
    failed_auth_per_minute: int = Field(default=120, ge=1)
    """Requests without a valid key from one address before they get 429; valid ones still work."""

    max_body_bytes: int = Field(default=4 * 2**20, ge=1024)
    """Largest body of a request that is no upload."""
    max_file_bytes: int = Field(default=512 * 2**20, ge=1024)
    """Largest uploaded file."""
    max_files_per_tenant: int = Field(default=10_000, ge=1)
    """Files that a tenant may keep, pending uploads included."""
    max_file_bytes_per_tenant: int = Field(default=100 * 2**30, ge=1024)
    """Bytes of files that a tenant may keep, pending uploads included."""
    max_pending_uploads: int = Field(default=64, ge=1)
    """Uploads in parts that a tenant may have begun and not ended."""
    max_adapters_per_tenant: int = Field(default=10_000, ge=1)
    """Adapters that a tenant may have before it can import another one."""
    max_adapter_bytes_per_tenant: int = Field(default=100 * 2**30, ge=1024)
    """The same in bytes of weights."""
    max_pinned_adapters_per_tenant: int = Field(default=2, ge=0)
    """Adapters that a tenant may pin; all tenants together half of ``TUNERY_MAX_CPU_LORAS``."""
    max_concurrent_requests: int = Field(default=64, ge=1)
    """Requests inside the engine at once, over all tenants."""
    max_queued_requests: int = Field(default=256, ge=0)
    """Requests that may wait for one of those places before the next is refused."""
    max_queue_wait_s: float = Field(default=120.0, gt=0)
    """Longest that a request may wait for a place before it is refused."""
    max_batch_concurrency: int = Field(default=8, ge=1)
    """Lines of batches inside the engine at once; they take what other requests leave free."""
    max_event_streams: int = Field(default=1024, ge=1)
    """Streams of fine-tuning events that one gateway keeps open, over all tenants."""
    max_event_streams_per_tenant: int = Field(default=128, ge=1)
    """The same for each tenant."""
    request_timeout_s: float = Field(default=600.0, gt=0)
    """Longest that one inference request may take."""
    drain_timeout_s: float = Field(default=30.0, gt=0)
    """How long running streams may go on after SIGTERM."""

    max_metric_names: int = Field(default=50, ge=0, le=1000)
    """Tenants, adapters and aliases with metrics of their own, so many of each: the busiest."""

    audit_retention_days: int = Field(default=365, ge=1)
    """For how long the audit log says who changed what."""

    webhook_hosts: Names = ()
    """Where webhooks may go, comma-separated: host names, addresses, networks; empty is nowhere."""

    trainer_threads: int | None = Field(default=None, ge=1)
    """CPU threads of a trainer; by default half the cores, so that chat goes on."""
    trainer_niceness: int = Field(default=10, ge=0, le=19)
    """Priority of a trainer below everything else, as of ``nice``."""
    max_training_length: int | None = Field(default=None, ge=8)
    """Longest training example in tokens; by default max_model_len."""
    worker_slots: int = Field(default=1, ge=1, le=64)
    """Jobs that one worker runs at once, as far as memory goes."""
    requests_per_minute: int = Field(default=0, ge=0)
    """Inference requests of one tenant, unless ``tunery tenants`` says so; 0 is no bound."""
    tokens_per_minute: int = Field(default=0, ge=0)
    """Tokens of one tenant's prompts and answers, with the same exceptions."""
    concurrent_requests: int = Field(default=0, ge=0)
    """Inference requests of one tenant at once, with the same exceptions."""
    max_running_jobs: int = Field(default=0, ge=0)
    """Jobs of one tenant that run at once, unless ``tunery tenants`` says so; 0 is no bound."""
    max_waiting_jobs: int = Field(default=1000, ge=0)
    """Jobs of one tenant that wait or are paused, unless ``tunery tenants`` says so."""
    queue_patience_s: float = Field(default=4 * 3600.0, gt=0)
    """A job that has waited for so long is its tenant's next, whatever its priority."""
    lease_s: float = Field(default=20.0, gt=0)
    """A worker that is silent for so long has lost its job, and a gateway its batches."""
    max_attempts: int = Field(default=3, ge=1)
    """Workers that a job may lose before it fails."""

    max_loras: int = Field(default=4, ge=1)
    """Adapters in one batch of the engine."""
    max_cpu_loras: int = Field(default=64, ge=1)
    """Adapters that the engine keeps in main memory: sixteen for each of its slots, by default.

    One more is read from disk and loaded, which holds up everybody's answers for a moment, while
    one that is there is not. Memory is taken by those alone that are there, each as much as its
    weights: 64 of rank 16 on every layer of an 8B model are 5 GB.
    """
    max_lora_rank: Annotated[
        Literal[1, 8, 16, 32, 64, 128, 256, 320, 512], BeforeValidator(_number)
    ] = 16
    """Highest rank that the engine serves; a higher one costs every adapter memory and time."""
    engine_patience_s: float = Field(default=25.0, gt=0)
    """How long one step of the engine may take before it is held to hang, and is started anew.

    A large model on a CPU may need more for a long prompt.
    """
    max_model_len: int = Field(default=2048, ge=16)
    """Longest prompt and answer together, in tokens."""
    max_num_seqs: int | None = Field(default=None, ge=1)
    """Requests in one batch of the engine; by default vLLM's choice."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Type of the engine's weights and activations."""
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    """Share of a GPU's memory for the engine; by default 0.6, the rest is the trainer's."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that share one engine."""
    tool_call_parser: str = "hermes"
    """How the base model writes tool calls."""
    kv_cache_memory_bytes: int | None = Field(default=None, ge=2**20)
    """Room for the KV cache; by default vLLM's own choice on CUDA and 1 GiB on CPU."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then ``tunery.toml`` in the data folder."""
        toml = TomlConfigSettingsSource(settings_cls, default_home() / "tunery.toml")
        return init_settings, env_settings, toml

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the record."""
        return self.database_url or f"sqlite:///{self.home / 'tunery.db'}"

    @property
    def base_model_name(self) -> str:
        """Name of the base model on the wire."""
        if self.served_model_name:
            return self.served_model_name
        folder = Path(self.model).expanduser()
        return folder.name if folder.is_absolute() or folder.is_dir() else self.model

    @property
    def base_model_path(self) -> str:
        """What the engine and the trainer load: a folder, or a hub id."""
        if self.model == BUNDLED_MODEL:
            return str(self.home / "models" / BUNDLED_MODEL)
        folder = Path(self.model).expanduser()
        return str(folder.absolute()) if folder.is_dir() else self.model

    @property
    def places_in_memory(self) -> int:
        """Adapters that the engine keeps in main memory: never fewer than it has slots."""
        return max(self.max_cpu_loras, self.max_loras)

    @property
    def training_length(self) -> int:
        """Longest training example in tokens."""
        return self.max_training_length or self.max_model_len

    @property
    def threads_of_a_trainer(self) -> int:
        """CPU threads of a trainer."""
        return self.trainer_threads or max(1, (os.cpu_count() or 2) // 2)

    @property
    def redis(self) -> str:
        """Given by ``REDIS_URL``, else the socket of the embedded Valkey."""
        return self.redis_url or f"unix://{self.valkey_socket}"

    @property
    def valkey_socket(self) -> Path:
        """Where the embedded Valkey listens."""
        return self.runtime_dir / "valkey.sock"

    @property
    def engine_socket(self) -> Path:
        """Where the engine listens; only this user can reach it."""
        return self.runtime_dir / "engine.sock"

    @property
    def engine_key_file(self) -> Path:
        """The engine's own random key, new at every start of the server."""
        return self.runtime_dir / "engine.key"

    @property
    def runtime_dir(self) -> Path:
        """Sockets and keys of running processes, 0700."""
        return self.home / "run"

    @property
    def admin_key_file(self) -> Path:
        """The first admin key, 0600, made on the first start."""
        return self.home / "admin.key"


def read_settings(**overrides: Any) -> Settings:
    """Read and check all settings.

    Raises ConfigError, naming every setting that is unknown or malformed.
    """
    _refuse_unknown_variables()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        )
        raise ConfigError(f"Cannot read the settings: {problems}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"Cannot read {default_home() / 'tunery.toml'}: {error}.") from error


def _refuse_unknown_variables() -> None:
    fields = Settings.model_fields.keys() - UNPREFIXED
    known = {f"{PREFIX}{name.upper()}" for name in fields} | CLIENT_VARIABLES
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX) and name not in known and not name.startswith("TUNERY_TEST_")
    )
    if unknown:
        raise ConfigError(
            f"Unknown setting in the environment: {', '.join(unknown)}. "
            f"Settings are listed in docs/settings.md."
        )

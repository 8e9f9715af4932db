"""Every metric that Tunery exports of all tenants together, declared once.

Labels are route templates, statuses and kinds: never a model name, a key or anything else that a
client chose, so that their number is bounded. ``telemetry/families.py`` has those with names.
"""

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

HTTP_REQUESTS = Counter(
    "tunery_http_requests_total", "HTTP requests answered.", ["route", "method", "status"]
)
HTTP_DURATION = Histogram(
    "tunery_http_request_duration_seconds",
    "Time from request to the last byte of the answer.",
    ["route"],
    buckets=_LATENCY_S,
)
TIME_TO_FIRST_TOKEN = Histogram(
    "tunery_time_to_first_token_seconds",
    "Time from request to the first streamed chunk.",
    ["target"],
    buckets=_LATENCY_S,
)
TOKENS = Counter(
    "tunery_tokens_total", "Tokens of finished inference requests.", ["target", "kind"]
)
REQUESTS_RUNNING = Gauge("tunery_requests_running", "Inference requests inside the engine.")
TASKS = Gauge("tunery_tasks", "Tasks of the gateway's event loop.")
REQUESTS_WAITING = Gauge("tunery_requests_waiting", "Inference requests waiting for a place.")
ADMISSION_WAIT = Histogram(
    "tunery_admission_wait_seconds",
    "Time that inference requests waited for a place in the engine.",
    buckets=_LATENCY_S,
)
REQUESTS_REFUSED = Counter(
    "tunery_requests_refused_total", "Inference requests refused because all places were taken."
)
RATE_LIMITED = Counter(
    "tunery_rate_limited_total", "Inference requests beyond a key's or tenant's limit.", ["limit"]
)
REQUESTS_UNCOUNTED = Counter(
    "tunery_requests_uncounted_total", "Inference requests let pass while Redis was away."
)
SHADOWS = Counter(
    "tunery_shadow_requests_total", "Copies of requests for an alias's shadow.", ["outcome"]
)
ENGINE_READY = Gauge("tunery_engine_ready", "1 while the engine answers, else 0.")
ENGINE_STARTS = Counter("tunery_engine_starts_total", "Engine processes seen by the gateway.")
ADAPTERS_LOADED = Gauge("tunery_adapters_loaded", "Adapters that the engine knows.")
JOBS = Gauge("tunery_fine_tuning_jobs", "Fine-tuning jobs by status.", ["status"])
JOB_WATCHERS = Gauge("tunery_job_watchers", "Streams of fine-tuning events that are open.")
BATCHES = Gauge("tunery_batches", "Batches by status.", ["status"])
BATCH_LINES_RUNNING = Gauge("tunery_batch_lines_running", "Lines of batches being answered.")
BATCH_LINES = Counter(
    "tunery_batch_lines_total", "Lines of batches that got their result.", ["outcome"]
)
WEBHOOKS_PENDING = Gauge("tunery_webhooks_pending", "Webhooks that have not arrived yet.")
WEBHOOK_ATTEMPTS = Counter(
    "tunery_webhook_attempts_total", "Webhooks sent, by how that ended.", ["outcome"]
)

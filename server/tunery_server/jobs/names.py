"""Names of fine-tuned models: ``ft:base:organization:suffix:id``, as OpenAI forms them."""


def model_name(base: str, organization: str, suffix: str | None, identity: str) -> str:
    """The public name of a finished adapter."""
    return f"ft:{base}:{organization}:{suffix or ''}:{identity}"


def checkpoint_name(model: str, step: int) -> str:
    """The public name of a checkpoint of that adapter."""
    return f"{model}:ckpt-step-{step}"

"""OpenAI's and Anthropic's routes that this server has not, and why."""

_NOTHING_STORED = "is stored here: keep the answer, or send the conversation again"

REASONS = {
    "/v1/assistants": "Assistants are not offered: send the conversation to /v1/responses.",
    "/v1/audio": "Audio is not offered: the model reads and writes text.",
    "/v1/chat/completions": f"No chat completion {_NOTHING_STORED}.",
    "/v1/chatkit": "ChatKit is not offered.",
    "/v1/complete": "Text completions are not offered on this wire: use /v1/messages.",
    "/v1/containers": "Containers are not offered: no code is run for a model.",
    "/v1/conversations": f"No conversation {_NOTHING_STORED}.",
    "/v1/embeddings": "Embeddings are not offered: the model writes text.",
    "/v1/evals": "Evaluations are not offered.",
    "/v1/images": "Images are not offered: the model reads and writes text.",
    "/v1/messages/batches": "Batches of messages are not offered: use /v1/batches.",
    "/v1/moderations": "Moderations are not offered: the model writes text.",
    "/v1/organization": "Keys are made by 'tunery keys', not over HTTP.",
    "/v1/realtime": "Realtime sessions are not offered: the model reads and writes text.",
    "/v1/responses": f"No response {_NOTHING_STORED}.",
    "/v1/skills": "Skills are not offered: no code is run for a model.",
    "/v1/threads": "Threads are not offered: send the conversation to /v1/responses.",
    "/v1/vector_stores": "Vector stores are not offered.",
    "/v1/videos": "Videos are not offered: the model reads and writes text.",
}
"""By path. What lies below a path has its reason, too."""


def why_not_offered(path: str) -> str | None:
    """A sentence for the 404 of ``path``; None where there is nothing to say."""
    parts = path.split("/")
    for length in range(len(parts), 2, -1):
        if reason := REASONS.get("/".join(parts[:length])):
            return reason
    return None

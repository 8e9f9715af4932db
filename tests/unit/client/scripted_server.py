"""A server on loopback that answers as its script says, for tests of the client alone."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BASE = "tiny-base"
TUNED = "ft:tiny-base:org:tickets:abc"


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    open_end: bool = False
    """Nothing more comes, and the connection stays."""


def answer(document: object, status: int = 200, **headers: str) -> Reply:
    return Reply(
        status, json.dumps(document).encode(), {"content-type": "application/json"} | headers
    )


def refusal(status: int, message: str, **headers: str) -> Reply:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return answer({"error": error}, status, **headers)


def job(status: str, **fields: Any) -> dict[str, Any]:
    """A fine-tuning job as the wire has it."""
    return {
        "id": "ftjob-1",
        "object": "fine_tuning.job",
        "created_at": 1,
        "model": BASE,
        "fine_tuned_model": TUNED if status == "succeeded" else None,
        "organization_id": "org",
        "status": status,
        "hyperparameters": {"n_epochs": 3, "batch_size": 4, "learning_rate_multiplier": 1.0},
        "training_file": "file-1",
        "validation_file": None,
        "result_files": [],
        "trained_tokens": None,
        "finished_at": None,
        "seed": 1,
        "error": None,
        **fields,
    }


def event(number: int, message: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "id": f"ftevent-{number}",
        "object": "fine_tuning.job.event",
        "created_at": number,
        "level": "info",
        "message": message,
        "type": "metrics" if data else "message",
        "data": data,
    }


def step(number: int) -> dict[str, Any]:
    data = {
        "step": number,
        "total_steps": 2,
        "train_loss": 1.5 / number,
        "train_mean_token_accuracy": 0.5,
        "learning_rate": 1e-4,
        "tokens_per_s": 310.4,
        "seconds_left": 65.0,
    }
    return event(number, f"Step {number}/2", data)


DONE = "data: [DONE]\n\n"


def event_stream(*events: dict[str, Any], end: str = DONE) -> Reply:
    """A stream of a job's events, with a sign of life before each."""
    sent = "".join(f":\nid: {item['id']}\ndata: {json.dumps(item)}\n\n" for item in events)
    return Reply(200, f":\n{sent}{end}".encode(), {"content-type": "text/event-stream"})


def adapter(model: str = TUNED) -> dict[str, Any]:
    return {
        "id": "adapter-1",
        "object": "adapter",
        "model": model,
        "base_model": BASE,
        "job_id": "ftjob-1",
        "step": 2,
        "created_at": 1,
        "status": "ready",
        "residency": "loaded",
        "rank": 16,
        "version": 1,
        "alpha": 32.0,
        "target_modules": "all-linear",
        "bytes": 1024,
        "sha256": "00",
        "metrics": {"train_loss": 0.75},
    }


def chat_stream(*pieces: str, end: str = DONE) -> Reply:
    def chunk(piece: str) -> str:
        choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
        document = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": BASE,
            "choices": [choice],
        }
        return f"data: {json.dumps(document)}\n\n"

    body = "".join(map(chunk, pieces)) + end
    return Reply(200, body.encode(), {"content-type": "text/event-stream"})


def chat_answer(text: str) -> Reply:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return answer(
        {"id": "c", "object": "chat.completion", "created": 1, "model": BASE, "choices": [choice]}
    )


def file_object(name: str) -> dict[str, Any]:
    return {
        "id": "file-1",
        "object": "file",
        "bytes": 3,
        "created_at": 1,
        "filename": name,
        "purpose": "fine-tune",
        "status": "processed",
    }


class ScriptedServer:
    """What is to be answered, and what was asked.

    Each stream of the job's events takes the next of ``looks`` (a job, or a Reply to fail with) and
    the last again and again. Of ``events``, as many are there as the look's ``_events`` says, else
    all; then the stream is cut, unless the job has ended or the look says ``_open``.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.looks: list[dict[str, Any] | Reply] = [job("succeeded")]
        self.events: list[dict[str, Any]] = []
        self.shown = 0
        self.current: dict[str, Any] | None = None
        self.models: list[dict[str, Any]] = [_model(TUNED, BASE), _model(BASE, None)]
        self.replies: dict[tuple[str, str], Reply | list[Reply]] = {}
        """Of a list, one after another, and the last again and again."""
        self.url = ""
        self.ended = threading.Event()

    def asked(self, method: str, path: str) -> list[Call]:
        return [call for call in self.calls if (call.method, call.path) == (method, path)]

    def handle(self, call: Call) -> Reply:
        self.calls.append(call)
        if scripted := self.replies.get((call.method, call.path)):
            return _next(scripted)
        name = unquote(call.path).removeprefix("/v1")
        reply = refusal(404, f"no {name} here")
        match call.method, name:
            case "GET", "/models":
                reply = answer({"object": "list", "data": self.models})
            case "POST", "/files":
                reply = answer(file_object("train.jsonl"))
            case "POST", "/fine_tuning/jobs":
                reply = answer(job("queued"))
            case "GET", "/fine_tuning/jobs/ftjob-1":
                reply = self._look()
            case "GET", "/fine_tuning/jobs/ftjob-1/events" if "stream" in call.query:
                reply = self._stream(call.headers.get("last-event-id"))
            case "GET", "/fine_tuning/jobs/ftjob-1/events":
                reply = self._page_of_events(call.query)
        return reply

    def _look(self) -> Reply:
        look = self.current or self.looks[0]
        return look if isinstance(look, Reply) else answer(_without_notes(look))

    def _stream(self, last_id: str | None) -> Reply:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Reply):
            return look
        self.current, self.shown = look, look.get("_events", len(self.events))
        ids = [item["id"] for item in self.events]
        start = ids.index(last_id) + 1 if last_id else 0
        ended = look["status"] in {"succeeded", "failed", "cancelled"}
        stream = event_stream(*self.events[start : self.shown], end=DONE if ended else "")
        return replace(stream, open_end="_open" in look)

    def _page_of_events(self, query: dict[str, str]) -> Reply:
        newest_first = self.events[: self.shown][::-1]
        ids = [item["id"] for item in newest_first]
        start = ids.index(query["after"]) + 1 if "after" in query else 0
        end = start + min(2, int(query["limit"]))  # short pages, so that every test pages
        page = newest_first[start:end]
        return answer({"object": "list", "data": page, "has_more": end < len(ids)})


def _without_notes(look: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in look.items() if not name.startswith("_")}


def _next(scripted: Reply | list[Reply]) -> Reply:
    if isinstance(scripted, Reply):
        return scripted
    return scripted.pop(0) if len(scripted) > 1 else scripted[0]


def _model(name: str, parent: str | None) -> dict[str, Any]:
    owner = {"object": "model", "created": 1, "owned_by": "tunery"}
    return {"id": name, **owner, "parent": parent, "job_id": "ftjob-1" if parent else None}


@contextmanager
def running(server: ScriptedServer, port: int = 0) -> Iterator[ScriptedServer]:
    """Listen on a loopback port, by default a free one, until the block ends."""
    listener = ThreadingHTTPServer(("127.0.0.1", port), _handler(server))
    server.url = f"http://127.0.0.1:{listener.server_port}/v1"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        listener.shutdown()
        thread.join()
        listener.server_close()


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._send(server.handle(Call(self.command, url.path, query, headers, body)))

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if not reply.open_end:
                self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            if reply.open_end:
                server.ended.wait()

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

        do_GET = do_POST = do_DELETE = _serve

    return Handler

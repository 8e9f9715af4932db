"""A ``tunery serve`` for tests of the demo: a scripted server under the real command.

``STAND_IN`` says how it behaves: ``good`` (the adapter answers right), ``poor`` (it answers as the
base does), ``failing`` (the job fails), ``dying`` (it never comes up) or ``deaf`` (as good, but it
and its child ignore SIGTERM).
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ticket_routing.score import HELDOUT, questions

from client.scripted_server import (
    TUNED,
    Call,
    Reply,
    ScriptedServer,
    chat_answer,
    chat_stream,
    event,
    job,
    running,
    step,
)

MANNER = os.environ.get("STAND_IN", "good")
RIGHT = {question.ticket: question.expected for question in questions(HELDOUT)}


class StandIn(ScriptedServer):
    def handle(self, call: Call) -> Reply:
        if call.path == "/readyz":
            return Reply(200, b"")
        if call.path == "/v1/chat/completions":
            return self._chat(call)
        return super().handle(call)

    def _chat(self, call: Call) -> Reply:
        asked = call.json
        knows = asked["model"] == TUNED and MANNER != "poor"
        text = RIGHT[asked["messages"][-1]["content"]] if knows else "I am happy to help!"
        return chat_stream(text) if asked.get("stream") else chat_answer(text)


def serve() -> None:
    """Serve until SIGTERM."""
    print("stand-in says", MANNER, flush=True)
    if MANNER == "dying":
        sys.exit(3)
    home = Path(os.environ["TUNERY_HOME"])
    (home / "admin.key").write_text("sk-own\n")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(os.environ["STAND_IN_RECORD"]).write_text(json.dumps([os.getpid(), child.pid, str(home)]))
    server = StandIn()
    server.events = [event(1, "Validated 252 rows"), step(1), step(2)]
    now = time.time()
    timings = {"training_started_at": now - 2.5, "last_step_at": now, "published_at": now + 0.2}
    error = {"code": "trainer_error", "message": "it broke", "param": None}
    last = job("failed", error=error) if MANNER == "failing" else job("succeeded", timings=timings)
    server.looks = [job("running", _events=2), last]
    with running(server, int(os.environ["TUNERY_PORT"])):
        signal.pause()

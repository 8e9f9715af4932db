"""Two tenants at work through the real gateway, step by step held to a plain model of both."""

import asyncio
import time
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tunery_server.files.service import RESULTS
from tunery_server.records.job_history import Note
from tunery_server.records.jobs import JobRecords
from tunery_server.records.rows import JobStatus

from .composed import Gateway
from .tenancy_calls import CALLS, JOBS, MESSAGES, PERMISSIONS, WITH_PERMISSION, Caller
from .tenancy_model import ENDED, WAITING, FileModel, JobModel, Routes, TenantModel

ROW = b'{"messages":[{"role":"user","content":"%d"},{"role":"assistant","content":"b"}]}\n'
EXAMPLES = 10
_numbers = count()

who = st.integers(0, 1)
names = st.sampled_from(["bot", "desk", "mail"])
"""The same for both tenants."""


class TenantsMachine(RuleBasedStateMachine):
    """Both tenants are new in every run; the gateway, and all that was there, stays."""

    steps = 0
    """Of all runs."""

    def __init__(self, gateway: Gateway, runner: "asyncio.Runner") -> None:
        super().__init__()
        number = next(_numbers)
        self.gateway = gateway
        self.tenants = [TenantModel(f"ann-{number}"), TenantModel(f"bob-{number}")]
        self.callers = [Caller.of(gateway, runner, tenant.name) for tenant in self.tenants]
        self.records = JobRecords(gateway.database)

    def _of(self, index: int) -> tuple[TenantModel, Caller]:
        TenantsMachine.steps += 1
        return self.tenants[index], self.callers[index]

    @initialize()
    def begin(self) -> None:
        """Both have something, so that there is something to do from the first step on."""
        for who in (0, 1):
            for text in (0, 1):
                self.upload(who, "fine-tune", text, None)
            self.publish(who)
            self._create_a_job(who, next(iter(self.tenants[who].files)), "base", None)

    @rule(
        who=who,
        purpose=st.sampled_from(["fine-tune", "fine-tune", "user_data"]),
        text=st.integers(0, 3),
        key=st.sampled_from([None, None, "one", "two"]),
    )
    def upload(self, who: int, purpose: str, text: int, key: str | None) -> None:
        tenant, caller = self._of(who)
        file = FileModel(ROW % text * EXAMPLES, purpose)
        request: dict[str, Any] = {"data": {"purpose": purpose}}
        request["files"] = {"file": ("a.jsonl", file.content)}
        request["headers"] = {"Idempotency-Key": key} if key else {}
        earlier = tenant.sent.get(key or "")
        if earlier is not None and earlier[0] != file:
            assert caller.ask("POST", "/v1/files", **request).status_code == 422
            return
        made = caller.answer("POST", "/v1/files", **request)["id"]
        assert (made in tenant.files) == (earlier is not None)
        tenant.files.setdefault(made, file)
        if key is not None:
            tenant.sent[key] = file, made

    @rule(who=who, data=st.data())
    @precondition(lambda self: all(tenant.files for tenant in self.tenants))
    def read_a_file(self, who: int, data: st.DataObject) -> None:
        tenant, caller = self._of(who)
        file_id = data.draw(st.sampled_from(list(tenant.files)))
        content = caller.ask("GET", f"/v1/files/{file_id}/content").content
        assert content == tenant.files[file_id].content
        assert caller.answer("GET", f"/v1/files/{file_id}")["bytes"] == len(content)

    @rule(who=who, data=st.data())
    @precondition(lambda self: all(tenant.files for tenant in self.tenants))
    def delete_a_file(self, who: int, data: st.DataObject) -> None:
        tenant, caller = self._of(who)
        file_id = data.draw(st.sampled_from(list(tenant.files)))
        if tenant.reads(file_id):
            caller.refused("file_in_use", "DELETE", f"/v1/files/{file_id}")
            return
        assert caller.answer("DELETE", f"/v1/files/{file_id}")["deleted"]
        del tenant.files[file_id]
        tenant.sent = {key: sent for key, sent in tenant.sent.items() if sent[1] != file_id}
        tenant.gone["file"].append(file_id)

    @rule(who=who, data=st.data(), metadata=st.sampled_from([None, {"team": "a"}, {"team": "b"}]))
    @precondition(lambda self: all(tenant.files for tenant in self.tenants))
    def create_a_job(self, who: int, data: st.DataObject, metadata: dict[str, str] | None) -> None:
        tenant, _ = self._of(who)
        file_id = data.draw(st.sampled_from(list(tenant.files)))
        model = data.draw(st.sampled_from(["base", *tenant.adapters]))
        self._create_a_job(who, file_id, model, metadata)

    def _create_a_job(
        self, who: int, file_id: str, model: str, metadata: dict[str, str] | None
    ) -> None:
        tenant, caller = self.tenants[who], self.callers[who]
        body = {"model": model, "training_file": file_id, "metadata": metadata}
        if tenant.files[file_id].purpose != "fine-tune":
            caller.refused("invalid_file", "POST", JOBS, json=body)
            return
        made = caller.answer("POST", JOBS, json=body)
        tenant.jobs[made["id"]] = JobModel("queued", file_id, metadata)

    @rule(who=who, data=st.data(), verb=st.sampled_from(["cancel", "pause", "resume"]))
    @precondition(lambda self: all(tenant.jobs for tenant in self.tenants))
    def change_a_job(self, who: int, data: st.DataObject, verb: str) -> None:
        tenant, caller = self._of(who)
        job_id = data.draw(st.sampled_from(list(tenant.jobs)))
        job = tenant.jobs[job_id]
        if job.status in ENDED and not (verb == "cancel" and job.status == "cancelled"):
            caller.refused(None, "POST", f"{JOBS}/{job_id}/{verb}")
            return
        job.status = _after(job.status, verb)
        assert caller.answer("POST", f"{JOBS}/{job_id}/{verb}")["status"] == job.status

    @rule(who=who, data=st.data(), succeeds=st.booleans())
    @precondition(lambda self: all(tenant.jobs for tenant in self.tenants))
    def work(self, who: int, data: st.DataObject, succeeds: bool) -> None:
        """What a worker writes of a job that waits, or of one that runs."""
        tenant, _ = self._of(who)
        job_id = data.draw(st.sampled_from(list(tenant.jobs)))
        job = tenant.jobs[job_id]
        if job.status == "queued":
            row = self.records.get_any(job_id)
            assert row is not None
            assert self.records.start(row, now=time.time()) is not None
            job.status = "running"
        elif job.status in {"running", "pausing"} and succeeds:
            self._succeed(tenant, job_id)
        elif job.status in {"running", "pausing"}:
            held = {JobStatus.RUNNING, JobStatus.PAUSING}
            assert self.records.change(job_id, allowed=held, status=JobStatus.FAILED)
            job.status = "failed"

    def _succeed(self, tenant: TenantModel, job_id: str) -> None:
        job, now = tenant.jobs[job_id], time.time()
        adapter = self.gateway.publish(tenant.name, job_id=job_id, created_at=now)
        results = self.gateway.app.state.services.files.store(
            tenant.name, filename="metrics.csv", purpose=RESULTS, chunks=[b"step,loss"]
        )
        note = Note(id=f"ftevent-{adapter.adapter_id}", created_at=now, message="done")
        done = self.records.succeed(
            job_id, in_attempt=1, adapter=adapter, results=results, note=note
        )
        assert done is not None
        job.status, job.fine_tuned_model = "succeeded", adapter.model
        tenant.adapters[adapter.model] = adapter.adapter_id
        tenant.files[results.id] = FileModel(b"step,loss", RESULTS)

    @rule(who=who)
    def publish(self, who: int) -> None:
        tenant, _ = self._of(who)
        adapter = self.gateway.publish(tenant.name, created_at=time.time())
        tenant.adapters[adapter.model] = adapter.adapter_id

    @rule(who=who, data=st.data(), kind=st.sampled_from(["models", "adapters"]))
    @precondition(lambda self: all(tenant.adapters for tenant in self.tenants))
    def delete_an_adapter(self, who: int, data: st.DataObject, kind: str) -> None:
        tenant, caller = self._of(who)
        model = data.draw(st.sampled_from(list(tenant.adapters)))
        if tenant.leads_to(model):
            caller.refused(None, "DELETE", f"/v1/{kind}/{model}")
            return
        assert caller.answer("DELETE", f"/v1/{kind}/{model}")["deleted"]
        assert model not in self.gateway.engine.adapters
        del tenant.adapters[model]
        tenant.gone["adapter"].append(model)
        self.tenants[1 - who].borrowed.pop(model, None)

    @rule(who=who, data=st.data())
    @precondition(lambda self: all(tenant.adapters for tenant in self.tenants))
    def lend(self, who: int, data: st.DataObject) -> None:
        """Let the other tenant use an adapter, or no longer."""
        tenant, caller = self._of(who)
        other = self.tenants[1 - who]
        model = data.draw(st.sampled_from(list(tenant.adapters)))
        path = PERMISSIONS.format(id=model)
        if model in other.borrowed:
            caller.answer("DELETE", f"{path}/{other.borrowed.pop(model)}")
        else:
            made = caller.answer("POST", path, json={"project_ids": [other.name]})
            other.borrowed[model] = made["data"][0]["id"]

    @rule(who=who, data=st.data(), name=names)
    def lead(self, who: int, data: st.DataObject, name: str) -> None:
        """Give an alias, or move it."""
        tenant, caller = self._of(who)
        models = data.draw(st.permutations(tenant.usable))
        split = data.draw(st.integers(1, 3))
        routes = Routes(*models[:split])
        if name not in tenant.standing:
            caller.answer("POST", "/v1/aliases", json={"name": name, **routes.body()})
        else:
            newest = len(tenant.aliases[name])
            late = {**routes.body(), "revision": newest + 1}
            caller.refused("alias_moved", "POST", f"/v1/aliases/{name}", json=late)
            caller.refused(None, "POST", "/v1/aliases", json={"name": name, "model": "base"})
            moved = caller.answer("POST", f"/v1/aliases/{name}", json=routes.body())
            assert moved["revision"] == newest + 1
        tenant.put(name, routes)

    @rule(who=who, data=st.data(), name=names)
    @precondition(lambda self: all(tenant.standing for tenant in self.tenants))
    def roll_back(self, who: int, data: st.DataObject, name: str) -> None:
        tenant, caller = self._of(who)
        if name not in tenant.standing:
            return
        revisions = tenant.aliases[name]
        to = data.draw(st.integers(1, len(revisions)))
        path, body = f"/v1/aliases/{name}/rollback", {"revision": to}
        routes = revisions[to - 1]
        if routes is None:
            caller.refused(None, "POST", path, json=body)
        elif not routes.models <= set(tenant.usable):
            assert caller.ask("POST", path, json=body).status_code == 404
        else:
            assert caller.answer("POST", path, json=body)["model"] == routes.model
            tenant.put(name, routes)

    @rule(who=who, name=names)
    @precondition(lambda self: all(tenant.standing for tenant in self.tenants))
    def delete_an_alias(self, who: int, name: str) -> None:
        tenant, caller = self._of(who)
        if name not in tenant.standing:
            return
        assert caller.answer("DELETE", f"/v1/aliases/{name}")["deleted"]
        tenant.put(name, None)

    @rule(who=who, data=st.data())
    def chat(self, who: int, data: st.DataObject) -> None:
        tenant, caller = self._of(who)
        name = data.draw(st.sampled_from([*tenant.usable, *tenant.standing]))
        allowed = tenant.answers(name) if name in tenant.standing else {name}
        body = {"model": name, "messages": MESSAGES}
        if not allowed:
            assert caller.ask("POST", "/v1/chat/completions", json=body).status_code == 404
            return
        assert caller.answer("POST", "/v1/chat/completions", json=body)["model"] in allowed

    @rule(who=who, data=st.data())
    def reach_for_what_is_the_others(self, who: int, data: st.DataObject) -> None:
        tenant, caller = self._of(who)
        theirs = [each for each in self.tenants[1 - who].objects() if _foreign(tenant, *each)]
        if not theirs:
            return
        kind, object_id = data.draw(st.sampled_from(theirs))
        calls = [call for call in CALLS[kind] if not _permitted(tenant, object_id, call[1])]
        for call in calls:
            caller.finds_nothing(object_id, call)

    @rule(who=who, data=st.data(), mine=st.booleans())
    def reach_for_what_is_deleted(self, who: int, data: st.DataObject, mine: bool) -> None:
        _, caller = self._of(who)
        owner = self.tenants[who if mine else 1 - who]
        gone = [(kind, each) for kind, deleted in owner.gone.items() for each in deleted]
        if mine:
            names = owner.aliases.keys() - owner.standing.keys()
            gone += [("alias", name) for name in sorted(names)]
        if not gone:
            return
        kind, object_id = data.draw(st.sampled_from(gone))
        for call in CALLS[kind]:
            caller.finds_nothing(object_id, call)

    @rule(who=who)
    def look(self, who: int) -> None:
        """Every list and every object is as the model has it."""
        tenant, caller = self._of(who)
        assert _listed(caller, "/v1/files") == _newest_first(tenant.files)
        assert _listed(caller, "/v1/files?purpose=user_data") == _newest_first(
            each for each, file in tenant.files.items() if file.purpose == "user_data"
        )
        assert _listed(caller, JOBS) == _newest_first(tenant.jobs)
        assert _listed(caller, f"{JOBS}?metadata[team]=a") == _newest_first(
            each for each, job in tenant.jobs.items() if job.metadata == {"team": "a"}
        )
        assert _listed(caller, "/v1/adapters") == _newest_first(tenant.adapters.values())
        assert _listed(caller, "/v1/models")[1:] == _newest_first(tenant.adapters)
        assert _listed(caller, "/v1/aliases") == _newest_first(
            name for name in tenant.moved if name in tenant.standing
        )
        self._objects_hold(tenant, caller)

    def _objects_hold(self, tenant: TenantModel, caller: Caller) -> None:
        for job_id, job in tenant.jobs.items():
            shown = caller.answer("GET", f"{JOBS}/{job_id}")
            assert (shown["status"], shown["fine_tuned_model"], shown["training_file"]) == (
                job.status,
                job.fine_tuned_model,
                job.training_file,
            )
        for name, revisions in tenant.aliases.items():
            told = caller.answer("GET", f"/v1/aliases/{name}/revisions?limit=100")["data"]
            wanted = [routes and routes.model for routes in reversed(revisions)]
            assert [revision["model"] for revision in told] == wanted

    def teardown(self) -> None:
        for index in (0, 1):
            self.look(index)


def _after(status: str, verb: str) -> str:
    """The state that a job comes to that has not ended."""
    moves = {
        "cancel": dict.fromkeys((*WAITING, "running", "pausing", "cancelled"), "cancelled"),
        "pause": {"queued": "paused", "running": "pausing"},
        "resume": {"paused": "queued", "pausing": "running"},
    }
    return moves[verb].get(status, status)


def _foreign(tenant: TenantModel, kind: str, object_id: str) -> bool:
    """A name that a tenant gave itself means its own."""
    return kind != "alias" or object_id not in tenant.aliases


def _permitted(tenant: TenantModel, object_id: str, path: str) -> bool:
    return object_id in tenant.borrowed and path in WITH_PERMISSION


def _listed(caller: Caller, path: str) -> list[str]:
    return [each["id"] for each in caller.answer("GET", path)["data"]]


def _newest_first(ids: Any) -> list[str]:
    return list(ids)[::-1]

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tunery_server.cli import app
from tunery_server.config import read_settings
from tunery_server.gateway.auth import ALL_SCOPES, TENANT_SCOPES, digest_of
from tunery_server.limits.contract import Limits
from tunery_server.records.database import Database
from tunery_server.records.keys import KeyRecords

KEEPS = f"files 10000, {100 * 2**30} bytes  adapters 10000, {100 * 2**30} bytes"
"""What a tenant may keep for which nothing was set."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNERY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def keys() -> KeyRecords:
    return KeyRecords(Database(read_settings().database))


def test_migrating_makes_the_record_and_no_key(home: Path) -> None:
    for _ in range(2):
        assert run("migrate").exit_code == 0
    assert not keys().list()
    assert not (home / "admin.key").exists()


def test_a_key_is_shown_once_and_stored_as_its_digest(home: Path) -> None:
    secret = run("keys", "create", "laptop", "--tenant", "acme").stdout.strip()
    key = keys().by_digest(digest_of(secret))
    assert key is not None
    assert (key.tenant_id, key.name, key.scopes) == ("acme", "laptop", TENANT_SCOPES)
    listed = run("keys", "list").stdout
    assert key.id in listed
    assert "active" in listed
    assert secret not in listed
    assert secret.encode() not in (home / "tunery.db").read_bytes()


def test_an_admin_key_carries_every_scope() -> None:
    secret = run("keys", "create", "root", "--admin").stdout.strip()
    key = keys().by_digest(digest_of(secret))
    assert key is not None
    assert key.scopes == ALL_SCOPES


def test_a_key_is_revoked_by_its_id() -> None:
    run("keys", "create", "laptop")
    [key] = keys().list()
    assert run("keys", "revoke", key.id).exit_code == 0
    assert "revoked" in run("keys", "list").stdout
    again = run("keys", "revoke", key.id)
    assert again.exit_code == 2
    assert "no active key" in again.stderr


@pytest.mark.parametrize("command", [["serve"], ["gateway"], ["worker"], ["keys", "list"]])
def test_a_wrong_setting_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("TUNERY_PROT", "1")
    result = run(*command)
    assert result.exit_code == 2
    assert "TUNERY_PROT" in result.stderr
    assert "Traceback" not in result.output


def test_what_is_set_for_a_tenant_is_kept_and_the_rest_left() -> None:
    assert run("tenants", "list").stdout == ""
    run("tenants", "set", "acme", "--weight", "3", "--max-running", "2")
    run("tenants", "set", "rival", "--max-waiting", "7")
    shown = run("tenants", "set", "acme", "--preemptible").stdout
    assert shown == f"acme  weight 3  running 2  waiting 1000  preemptible  {KEEPS}  no limits\n"
    listed = run("tenants", "list").stdout
    assert listed == shown + (
        f"rival  weight 1  running any  waiting 7  not preemptible  {KEEPS}  no limits\n"
    )
    run("tenants", "set", "acme", "--max-running", "0", "--no-preemptible")
    assert (
        "acme  weight 3  running any  waiting 1000  not preemptible"
        in run("tenants", "list").stdout
    )


@pytest.mark.parametrize("words", [["--weight", "0"], ["--max-waiting", "-1"]])
def test_a_policy_that_makes_no_sense_is_refused(words: list[str]) -> None:
    assert run("tenants", "set", "acme", *words).exit_code == 2
    assert run("tenants", "list").stdout == ""


def test_a_key_has_the_scopes_the_limits_and_the_end_that_were_asked_for() -> None:
    words = ("--scope", "files", "--scope", "inference", "--expires-in-days", "1")
    run("keys", "create", "ci", *words, "--tokens-per-minute", "5")
    [key] = keys().list()
    assert key.scopes == ("inference", "files")
    assert key.limits == Limits(tokens_per_minute=5)
    assert key.expires_at == pytest.approx(key.created_at + 86_400)
    listed = run("keys", "list").stdout
    assert "active until" in listed
    assert "tokens_per_minute 5" in listed


def test_an_unknown_scope_is_told_with_those_that_there_are() -> None:
    answer = run("keys", "create", "ci", "--scope", "everything")
    assert answer.exit_code == 2
    assert "'everything'" in answer.stderr
    assert "inference, files" in answer.stderr


def test_a_rotated_key_has_a_successor_with_the_same_rights_and_ends() -> None:
    run("keys", "create", "ci", "--scope", "files", "--requests-per-minute", "7")
    [old] = keys().list()
    secret = run("keys", "rotate", old.id, "--overlap-hours", "1").stdout.strip()
    new = keys().by_digest(digest_of(secret))
    assert new is not None
    assert (new.name, new.scopes, new.limits, new.expires_at) == (
        old.name,
        old.scopes,
        old.limits,
        None,
    )
    ends = keys().list()[0].expires_at
    assert ends == pytest.approx(new.created_at + 3600, abs=5)


def test_a_key_rotated_without_overlap_is_expired_and_cannot_be_rotated_again() -> None:
    run("keys", "create", "ci")
    [old] = keys().list()
    assert run("keys", "rotate", old.id, "--overlap-hours", "0").exit_code == 0
    assert "expired" in run("keys", "list").stdout
    again = run("keys", "rotate", old.id)
    assert again.exit_code == 2
    assert "no active key" in again.stderr
    assert len(keys().list()) == 2


def test_a_tenants_limits_are_set_one_by_one() -> None:
    run("tenants", "set", "acme", "--requests-per-minute", "60")
    said = run("tenants", "set", "acme", "--concurrent-requests", "4").stdout
    assert "requests_per_minute 60, concurrent_requests 4" in said
    assert said in run("tenants", "list").stdout


def test_what_a_tenant_may_keep_is_set_for_it_alone() -> None:
    shown = run("tenants", "set", "acme", "--max-files", "5", "--max-file-bytes", "0").stdout
    assert "files 5, 0 bytes" in shown
    assert KEEPS in run("tenants", "set", "rival", "--weight", "1").stdout


def test_a_tenant_is_put_aside_and_taken_back() -> None:
    secret = run("keys", "create", "laptop", "--tenant", "acme").stdout.strip()
    assert run("tenants", "archive", "acme").stdout == "archived acme\n"
    assert "archived" in run("tenants", "list").stdout
    assert keys().by_digest(digest_of(secret)) is None
    late = run("keys", "create", "late", "--tenant", "acme")
    assert (late.exit_code, "archived" in late.stderr) == (2, True)
    assert run("tenants", "restore", "acme").stdout == "restored acme\n"
    assert keys().by_digest(digest_of(secret)) is not None
    for command in ("archive", "restore"):
        assert run("tenants", command, "nobody").exit_code == 2


def test_what_commands_change_is_in_the_audit_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "operator")
    secret = run("keys", "create", "laptop", "--tenant", "acme").stdout.strip()
    [key] = keys().list()
    run("tenants", "set", "acme", "--weight", "2")
    run("keys", "revoke", key.id)
    lines = run("audit").stdout.splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "api_key.deleted",
        "project.updated",
        "api_key.created",
    ]
    assert all("user operator" in line for line in lines)
    assert run("audit", "--event", "project.updated").stdout.splitlines() == [lines[1]]
    assert run("audit", "--tenant", "rival").stdout == ""
    assert run("audit", "--actor", "operator", "--limit", "1").stdout.splitlines() == [lines[0]]
    assert secret[10:] not in "\n".join(lines)

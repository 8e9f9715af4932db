"""Every check against something real that is in order, and that is not."""

import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.engines import ScriptedEngine
from tests.redis_servers import RedisServer
from tunery_server.cli import app
from tunery_server.config import Settings
from tunery_server.doctor.clocks import compared
from tunery_server.doctor.engine_checks import engine_checks
from tunery_server.doctor.examination import examine
from tunery_server.doctor.finding import Finding, Level, ok
from tunery_server.doctor.folder_checks import folder_checks
from tunery_server.doctor.model_checks import model_checks
from tunery_server.doctor.package_checks import package_checks
from tunery_server.doctor.record_checks import record_checks
from tunery_server.doctor.redis_checks import redis_checks
from tunery_server.errors import EngineUnavailable
from tunery_server.records.database import Database
from tunery_server.worker.capacity import Memory

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL


def levels(findings: Iterator[Finding]) -> dict[str, Level]:
    found = list(findings)
    assert all(one.advice for one in found if one.level is not OK)
    return {one.check: one.level for one in found}


def test_a_redis_as_the_server_starts_it_is_in_order(settings: Settings) -> None:
    assert levels(redis_checks(settings)) == {
        "redis": OK,
        "redis durability": OK,
        "redis memory": OK,
        "redis clock": OK,
    }


@pytest.mark.parametrize(("required", "level"), [(True, FAIL), (False, WARN)])
def test_a_redis_that_forgets_is_found(tmp_path: Path, required: bool, level: Level) -> None:
    options = {"appendonly": "no", "maxmemory-policy": "allkeys-lru"}
    server = RedisServer("valkey", tmp_path, **options)
    server.start()
    try:
        settings = Settings(home=tmp_path, redis_url=server.url, require_durable_redis=required)
        found = levels(redis_checks(settings))
    finally:
        server.kill()
    assert (found["redis durability"], found["redis memory"]) == (level, level)


def test_a_redis_that_is_away_is_one_line(tmp_path: Path) -> None:
    away = Settings(home=tmp_path, redis_url=f"unix://{tmp_path / 'none.sock'}")
    assert levels(redis_checks(away)) == {"redis": FAIL}
    assert levels(redis_checks(Settings(home=tmp_path))) == {"redis": OK}


def test_a_clock_that_is_wrong_is_found(settings: Settings) -> None:
    found = {one.check: one for one in redis_checks(settings, clock=lambda: 0.0)}
    assert found["redis clock"].level is FAIL
    assert "ahead of" in found["redis clock"].found


@pytest.mark.parametrize(
    ("theirs", "level"), [(10.0, OK), (10.9, OK), (8.5, WARN), (12.5, WARN), (-30.0, FAIL)]
)
def test_the_time_that_the_question_took_is_no_difference(theirs: float, level: Level) -> None:
    assert compared("clock", theirs, before=10.0, after=10.5).level is level


def test_a_record_is_asked_for_its_schema(tmp_path: Path, migrated: Path) -> None:
    settings = Settings(home=tmp_path)
    assert levels(record_checks(settings)) == {"record": OK}
    assert not (tmp_path / "tunery.db").exists()
    shutil.copy(migrated, tmp_path / "tunery.db")
    assert levels(record_checks(settings)) == {"record": OK, "record schema": OK}
    for revision, level in (("0001", WARN), ("9999", FAIL)):
        database = Database(settings.database)
        with database.writing() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (revision,))
        database.close()
        assert levels(record_checks(settings))["record schema"] is level


def test_a_database_server_that_is_away_is_found(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"postgresql://tunery@127.0.0.1:{port}/tunery"
    assert levels(record_checks(Settings(home=tmp_path, database_url=url))) == {"record": FAIL}


def test_a_folder_in_order_and_one_that_is_not_there(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert levels(folder_checks(Settings(home=tmp_path, max_file_bytes=1024)))["permissions"] is OK
    absent = tmp_path / "not" / "yet"
    assert levels(folder_checks(Settings(home=absent)))["data folder"] is OK
    assert not absent.exists()


def test_a_full_disk_is_found(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(2 << 20))
    found = levels(folder_checks(Settings(home=small_disk)))
    assert (found["data folder"], found["disk"]) == (FAIL, FAIL)


def test_a_file_in_the_folders_place_is_found(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    assert levels(folder_checks(Settings(home=tmp_path / "home"))) == {"data folder": FAIL}


def test_a_key_that_others_can_read_is_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    settings = Settings(home=tmp_path)
    assert levels(folder_checks(settings))["permissions"] is WARN
    settings.admin_key_file.write_text("key")
    settings.admin_key_file.chmod(0o644)
    [found] = [one for one in folder_checks(settings) if one.check == "permissions"]
    assert found.level is FAIL
    assert str(settings.admin_key_file) in str(found.advice)


REQUIREMENTS = ("redis<9,>=8.1", "uvloop>=0.23", 'torch>=2.13; extra == "train"', "one==1.2.0")
INSTALLED = {"redis": "8.1.0", "uvloop": "1.0", "torch": "2.13.0+cpu", "one": "1.2"}


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({}, OK),
        ({"torch": None}, OK),
        ({"uvloop": None}, FAIL),
        ({"redis": "9.0"}, FAIL),
        ({"redis": "8.0.9"}, FAIL),
        ({"torch": "2.9"}, FAIL),
        ({"one": "1.2.1"}, FAIL),
    ],
)
def test_packages_are_held_to_the_bounds(change: dict[str, str | None], level: Level) -> None:
    def version_of(name: str) -> str:
        version = {**INSTALLED, **change}[name]
        if version is None:
            raise PackageNotFoundError(name)
        return version

    assert levels(package_checks(REQUIREMENTS, version_of)) == {"packages": level}


def test_what_is_installed_here_is_within_the_bounds() -> None:
    assert levels(package_checks()) == {"packages": OK}


@pytest.mark.parametrize("gigabytes", [1, 2, 64])
def test_memory_is_held_against_the_model(base_model: Path, gigabytes: int) -> None:
    settings = Settings(home=base_model, model=str(base_model), device="cpu")
    memory = Memory(gigabytes << 30, gigabytes << 30)
    found = levels(model_checks(settings, lambda: memory))
    assert found == {"base model": OK, "memory": {1: FAIL, 2: WARN, 64: OK}[gigabytes]}


@pytest.mark.parametrize("gone", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_base_model_with_a_hole_is_found(tmp_path: Path, tiny_model: Path, gone: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    settings = Settings(home=tmp_path, model=str(folder), device="cpu")
    assert levels(model_checks(settings))["base model"] is OK
    (folder / gone).unlink()
    assert levels(model_checks(settings)) == {"base model": FAIL}


def test_weights_that_are_cut_off_are_found(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    weights = folder / "model.safetensors"
    os.truncate(weights, weights.stat().st_size - 1)
    [found] = model_checks(Settings(home=tmp_path, model=str(folder)))
    assert (found.level, "cut off" in found.found) == (FAIL, True)


class Engine(ScriptedEngine):
    """With the two questions that only the doctor asks."""

    turns = True

    async def pulse(self, within_s: float) -> bool:
        return self.turns

    async def version(self) -> str:
        return "0.0.1"

    async def close(self) -> None:
        return None


def test_an_engine_is_asked_whether_it_turns_and_what_it_is(tmp_path: Path) -> None:
    engine, there = Engine(), tmp_path / "engine.sock"
    assert levels(engine_checks(there, lambda: engine)) == {"engine": WARN}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(there))
        listening.listen()
        [found] = engine_checks(there, lambda: engine)
        assert "0.0.1 runs" in found.found
        engine.turns = False
        [found] = engine_checks(there, lambda: engine)
        assert "did not turn" in found.found
    assert there.exists()
    assert levels(engine_checks(there, lambda: engine)) == {"engine": WARN}


def test_a_check_that_hangs_or_breaks_leaves_the_others_be() -> None:
    end = threading.Event()

    def hangs() -> Iterator[Finding]:
        yield ok("first", "fine")
        end.wait()

    def breaks() -> Iterator[Finding]:
        raise EngineUnavailable("away")
        yield

    def works() -> Iterator[Finding]:
        yield ok("works", "fine")

    checks = {"hangs": hangs, "breaks": breaks, "works": works}
    found: Sequence[Finding] = examine(checks, within_s=0.2)
    end.set()
    assert [(one.check, one.level) for one in found] == [
        ("first", OK),
        ("hangs", FAIL),
        ("breaks", FAIL),
        ("works", OK),
    ]


def test_the_command_tells_each_line_and_its_status(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNERY_HOME", str(settings.home))
    monkeypatch.setenv("REDIS_URL", str(settings.redis_url))
    plain = CliRunner().invoke(app, ["doctor"])
    assert plain.exit_code == 0, plain.output
    assert "ok\tredis durability\tappendonly is yes" in plain.stdout.splitlines()
    shown = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert {"check", "level", "found", "advice"} == set(shown[0])
    assert len(shown) == len(plain.stdout.splitlines())
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere.sock")
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 1
    monkeypatch.setenv("TUNERY_PROT", "1")
    broken = CliRunner().invoke(app, ["doctor"])
    assert (broken.exit_code, "TUNERY_PROT" in broken.stdout) == (1, True)

"""A request that kills the engine is stopped; those that were in it by chance are not."""

import itertools

import pytest

from tunery_server.errors import (
    EngineRefused,
    EngineUnavailable,
    InvalidRequest,
    Overloaded,
    TuneryError,
)
from tunery_server.serving.breaker import (
    MAX_SUSPECTS,
    WINDOW_S,
    Breaker,
    fingerprint,
)
from tunery_server.serving.usage import StreamCut

KILLER, OTHER, THIRD = (fingerprint("/v1/x", "m", name) for name in (b"killer", b"other", b"third"))


class Scene:
    """An engine that dies on command, and a clock that stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self.boots = 1
        self.breaker = Breaker(timer=lambda: self.now)

    def answered(self, *requests: bytes) -> None:
        for request in requests:
            with self.breaker.watching(request, str(self.boots)):
                pass

    def lost(self, *requests: bytes, error: Exception | None = None) -> None:
        for request in requests:
            with (
                pytest.raises((EngineUnavailable, StreamCut, EngineRefused)),
                self.breaker.watching(request, str(self.boots)),
            ):
                raise error or EngineUnavailable("away")

    def dies_with(self, *requests: bytes, error: Exception | None = None) -> None:
        self.lost(*requests, error=error)
        self.boots += 1

    def refusal(self, request: bytes) -> str | None:
        try:
            self.answered(request)
        except TuneryError as error:
            return error.code
        return None


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.answered(b"first")
    return scene


@pytest.mark.parametrize(
    "error", [EngineUnavailable("x"), StreamCut(), EngineRefused("x", status=500)]
)
def test_a_body_that_was_there_twice_is_refused_for_ten_minutes(
    scene: Scene, error: Exception
) -> None:
    scene.dies_with(KILLER, error=error)
    scene.dies_with(KILLER, error=error)
    for _ in range(3):
        with (
            pytest.raises(InvalidRequest) as raised,
            scene.breaker.watching(KILLER, str(scene.boots)),
        ):
            pytest.fail("it ran")
        assert raised.value.code == "request_refused"
    scene.now += WINDOW_S
    assert scene.refusal(KILLER) is None


def test_one_death_is_nobodys_fault(scene: Scene) -> None:
    scene.dies_with(KILLER, OTHER, THIRD)
    assert {scene.refusal(each) for each in (KILLER, OTHER, THIRD)} == {None}


def test_an_answer_in_between_clears(scene: Scene) -> None:
    scene.dies_with(KILLER, OTHER)
    scene.answered(OTHER)
    scene.dies_with(KILLER, OTHER)
    assert scene.refusal(OTHER) is None
    assert scene.refusal(KILLER) == "request_refused"


def test_of_several_none_is_refused_but_they_run_one_at_a_time(scene: Scene) -> None:
    scene.dies_with(KILLER, OTHER)
    scene.dies_with(KILLER, OTHER, THIRD)
    with scene.breaker.watching(OTHER, str(scene.boots)):
        for request in (KILLER, OTHER):
            with (
                pytest.raises(Overloaded) as raised,
                scene.breaker.watching(request, str(scene.boots)),
            ):
                pytest.fail("it ran beside another")
            assert raised.value.retry_after_s > 1
        assert scene.refusal(THIRD) is None
    assert scene.refusal(OTHER) is None
    scene.dies_with(KILLER, THIRD)
    assert scene.refusal(KILLER) == "request_refused"
    assert scene.refusal(THIRD) is None


def test_deaths_far_apart_do_not_add_up(scene: Scene) -> None:
    scene.dies_with(KILLER)
    scene.answered(OTHER)
    scene.now += WINDOW_S
    scene.dies_with(KILLER)
    assert scene.refusal(KILLER) is None


def test_a_request_lost_long_before_the_death_was_not_there(scene: Scene) -> None:
    scene.dies_with(KILLER)
    scene.lost(OTHER)
    scene.now += WINDOW_S - 1
    scene.lost(KILLER)
    scene.now += 1
    scene.boots += 1
    assert scene.refusal(OTHER) is None


def test_errors_of_an_engine_that_lives_on_count_for_nothing(scene: Scene) -> None:
    for _ in range(5):
        scene.lost(KILLER)
    assert scene.refusal(KILLER) is None


def test_a_refusal_by_the_engine_is_no_loss(scene: Scene) -> None:
    for _ in range(2):
        scene.dies_with(KILLER, error=EngineRefused("no", status=400))
    assert scene.refusal(KILLER) is None


def test_a_client_that_went_away_was_not_there(scene: Scene) -> None:
    for _ in range(2):
        with (
            pytest.raises(GeneratorExit),
            scene.breaker.watching(KILLER, str(scene.boots)),
        ):
            raise GeneratorExit
        scene.boots += 1
    assert scene.refusal(KILLER) is None


def test_the_engines_first_start_is_no_death() -> None:
    scene = Scene()
    for boot_id in (None, "1", None, "1"):
        with pytest.raises(EngineUnavailable), scene.breaker.watching(KILLER, boot_id):
            raise EngineUnavailable("starting")
    assert scene.refusal(KILLER) is None


def test_memory_is_bounded(scene: Scene) -> None:
    many = [fingerprint("/", "m", str(number).encode()) for number in range(2 * MAX_SUSPECTS)]
    scene.dies_with(*many)
    scene.dies_with(*many)
    scene.answered(OTHER)
    held = [len(vars(scene.breaker)[name]) for name in ("_lost", "_suspects", "_running")]
    assert max(held) <= MAX_SUSPECTS


def test_the_path_the_model_and_the_body_make_a_request() -> None:
    assert len({fingerprint(*words, b"x") for words in itertools.product("ab", "ab")}) == 4
    assert fingerprint("a", "a", b"x") != fingerprint("a", "a", b"y")

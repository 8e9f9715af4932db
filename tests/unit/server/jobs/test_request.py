import pytest

from tunery_server.jobs.names import checkpoint_name, model_name
from tunery_server.jobs.request import auto_batch_size, auto_epochs


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [(1, 10), (10, 10), (60, 10), (61, 10), (67, 9), (100, 6), (199, 4), (200, 3), (10**6, 3)],
)
def test_epochs_go_on_until_about_600_examples_were_seen(examples: int, epochs: int) -> None:
    assert auto_epochs(examples) == epochs


@pytest.mark.parametrize(
    ("examples", "batch_size"),
    [(1, 1), (59, 1), (119, 1), (120, 2), (252, 4), (960, 16), (10**6, 16)],
)
def test_a_batch_leaves_60_steps_an_epoch(examples: int, batch_size: int) -> None:
    assert auto_batch_size(examples) == batch_size


@pytest.mark.parametrize("examples", [10, 11, 99, 1000, 10**6])
def test_auto_stays_within_what_the_wire_allows(examples: int) -> None:
    assert 1 <= auto_epochs(examples) <= 50
    assert 1 <= auto_batch_size(examples) <= 256


def test_names_are_formed_as_openai_does() -> None:
    model = model_name("base", "acme", "pirate", "abc")
    assert model == "ft:base:acme:pirate:abc"
    assert model_name("base", "acme", None, "abc") == "ft:base:acme::abc"
    assert checkpoint_name(model, 20) == "ft:base:acme:pirate:abc:ckpt-step-20"

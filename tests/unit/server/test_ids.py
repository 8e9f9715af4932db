import re

from tunery_server.ids import new_id


def test_ids_are_random_and_safe_as_a_file_name() -> None:
    made = {new_id("file-") for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"file-[0-9a-f]{32}", made_id) for made_id in made)

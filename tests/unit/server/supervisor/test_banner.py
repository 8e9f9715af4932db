import pytest

from tunery_server.config import Settings
from tunery_server.supervisor import banner
from tunery_server.supervisor.home import prepare


@pytest.mark.parametrize("fresh", [True, False])
def test_the_banner_says_where_the_key_lies_and_not_what_it_is(
    settings: Settings, capsys: pytest.CaptureFixture[str], fresh: bool
) -> None:
    prepare(settings)
    banner.show(settings, fresh)
    said = capsys.readouterr().out
    assert str(settings.admin_key_file) in said
    assert settings.admin_key_file.read_text().strip() not in said
    assert "http://127.0.0.1:8000/v1" in said


def test_brackets_in_a_name_are_no_markup(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings.model_copy(update={"served_model_name": "[red]model[/red]"})
    banner.show(settings, True)
    banner.ready(settings, 61.2)
    said = capsys.readouterr().out
    assert said.count("[red]model[/red]") == 2
    assert "Ready after 61 s" in said

import pytest
from ticket_routing.score import Question, accuracy, is_right, questions

RIGHT = '{"queue": "sales", "priority": "low"}'


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (RIGHT, True),
        ('\n{"priority":"low","queue":"sales"} ', True),
        ('{"queue": "sales", "priority": "high"}', False),
        ('{"queue": "sales"}', False),
        ('{"queue": "sales", "priority": "low", "more": 1}', False),
        (f"Sure: {RIGHT}", False),
        ('["sales", "low"]', False),
        ("", False),
    ],
)
def test_only_the_exact_object_is_right(answer: str, right: bool) -> None:
    assert is_right(answer, RIGHT) is right


def test_the_score_is_a_share() -> None:
    asked = [Question([], RIGHT)] * 4
    assert accuracy([RIGHT, "no", RIGHT, "{}"], asked) == 0.5


def test_held_out_questions_end_with_the_ticket() -> None:
    asked = list(questions())
    assert len(asked) == 54
    assert all(question.messages[-1]["role"] == "user" for question in asked)
    assert all(is_right(question.expected, question.expected) for question in asked)

import orjson
import pytest

from tests.engines import answer
from tunery_server.errors import EngineUnavailable
from tunery_server.serving.usage import StreamUsage, Usage, usage_of

CHAT = "/v1/chat/completions"
EVENTS = answer(CHAT, {"model": "m", "stream": True, "stream_options": {"include_usage": True}})
STREAM = b"".join(EVENTS)
WITHOUT_USAGE = b"".join(event for event in EVENTS if b"usage" not in event)


@pytest.mark.parametrize("passed", [True, False])
def test_where_the_stream_is_cut_changes_nothing(passed: bool) -> None:
    for cut in range(len(STREAM) + 1):
        usage = StreamUsage(passed=passed)
        told = usage.feed(STREAM[:cut]) + usage.feed(STREAM[cut:])
        assert told == (STREAM if passed else WITHOUT_USAGE), cut
        assert usage.usage == Usage(5, 2)
        assert usage.done


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_pieces_of_any_size_give_the_same(size: int) -> None:
    usage = StreamUsage(passed=False)
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert b"".join(map(usage.feed, pieces)) == WITHOUT_USAGE
    assert usage.done


def test_only_whole_events_are_handed_on() -> None:
    usage = StreamUsage(passed=True)
    assert usage.feed(EVENTS[0] + EVENTS[1][:-1]) == EVENTS[0]
    assert usage.feed(b"\n") == EVENTS[1]


@pytest.mark.parametrize("end", [len(STREAM) - 1, len(STREAM) - len(EVENTS[-1]), 0])
def test_a_stream_without_its_last_event_is_not_done(end: int) -> None:
    usage = StreamUsage(passed=True)
    usage.feed(STREAM[:end])
    assert not usage.done


def test_a_text_that_looks_like_the_end_is_not_the_end() -> None:
    usage = StreamUsage(passed=False)
    text = 'data: [DONE]\n\n"usage":{"prompt_tokens":9}'
    event = b"data: " + orjson.dumps({"choices": [{"delta": {"content": text}}]}) + b"\n\n"
    assert usage.feed(event) == event
    assert not usage.done
    assert usage.usage is None


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("fields", [["choices", "usage"], ["usage", "choices"]])
def test_counts_are_read_in_whatever_order_they_come(running: bool, fields: list[str]) -> None:
    usage = StreamUsage(passed=False, running=running)
    looks_counted = ',"usage":{"prompt_tokens":9,"total_tokens":9,"completion_tokens":9}'
    for index, tokens in ((0, 1), (1, 1), (0, 2)):
        choice = {"index": index, "delta": {"content": looks_counted}, "finish_reason": None}
        counts = {"prompt_tokens": 5, "total_tokens": 5 + tokens, "completion_tokens": tokens}
        both = {"choices": [choice], "usage": counts}
        event = {name: both[name] for name in fields}
        told = usage.feed(b"data: " + orjson.dumps(event) + b"\n\n")
        assert orjson.loads(told.removeprefix(b"data: ")) == (
            event if running else {"choices": [choice]}
        )
    assert usage.completion_tokens == 3
    assert usage.usage == Usage(5, 3)


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b"{}", b'{"usage":null}', b'{"usage":{}}', b"null", b'{"usage":5}']
)
def test_an_answer_without_counts_gives_none(body: bytes) -> None:
    assert usage_of(body) is None


def test_counts_are_read() -> None:
    [first, second] = answer(CHAT, {"model": "m"})
    assert usage_of(first + second) == Usage(5, 2)
    assert usage_of(b'{"usage":{"prompt_tokens":3}}') == Usage(3, 0)


def test_an_error_event_of_the_engine_is_raised_in_our_words() -> None:
    events = b'data: {"choices":[]}\n\ndata: {"error":{"message":"/srv/x.py: 3","code":500}}\n\n'
    with pytest.raises(EngineUnavailable, match="could not finish"):
        StreamUsage(passed=False).feed(events)


def test_a_text_that_speaks_of_an_error_is_no_error() -> None:
    event = b'data: {"choices":[{"delta":{"content":"data: {\\"error\\""}}]}\n\n'
    assert StreamUsage(passed=False).feed(event) == event

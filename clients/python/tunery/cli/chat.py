"""``tunery chat``: one answer, or a conversation."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ._failures import explain
from ._output import document, print_json, printable, say, stderr
from ._session import Session, with_session

if TYPE_CHECKING:
    from openai.types.chat import (
        ChatCompletion,
        ChatCompletionChunk,
        ChatCompletionMessageParam,
        ChatCompletionUserMessageParam,
    )

    from tunery import Tunery

    Messages = list[ChatCompletionMessageParam]


@dataclass(frozen=True)
class Talk:
    """Who answers, and how."""

    client: "Tunery"
    model: str
    options: dict[str, float]

    def answer(self, messages: "Messages") -> "ChatCompletion":
        """The whole answer."""
        return self.client.chat.completions.create(
            model=self.model, messages=messages, extra_body=self.options
        )

    def chunks(self, messages: "Messages") -> "Iterator[ChatCompletionChunk]":
        """The answer as it comes."""
        with self.client.chat.completions.create(
            model=self.model, messages=messages, extra_body=self.options, stream=True
        ) as stream:
            yield from stream


@with_session
def chat(
    session: Session,
    prompt: Annotated[str | None, typer.Argument(help="Without it, a conversation.")] = None,
    *,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Default: the base.")] = None,
    system: Annotated[str | None, typer.Option("--system", "-s", help="What comes first.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2)] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1)] = None,
    stream: Annotated[
        bool | None, typer.Option(help="Default: on, and off with --json.", show_default=False)
    ] = None,
) -> None:
    """Answer PROMPT, or standard input when it is piped; else hold a conversation."""
    if prompt is None and not sys.stdin.isatty():
        prompt = sys.stdin.read().strip()
    if prompt == "" or (prompt is None and session.json):
        raise typer.BadParameter("give a PROMPT, or pipe one in")
    options = {"temperature": temperature, "max_tokens": max_tokens}
    given = {name: value for name, value in options.items() if value is not None}
    client = session.client()
    talk = Talk(client, model or client.base_model(), given)
    opening: Messages = [{"role": "system", "content": system}] if system else []
    if prompt is None:
        _converse(talk, opening)
    else:
        streaming = not session.json if stream is None else stream
        _answer_once(talk, [*opening, _user(prompt)], streaming, session.json)


def _answer_once(talk: Talk, messages: "Messages", streaming: bool, as_json: bool) -> None:
    if not streaming:
        answer = talk.answer(messages)
        if as_json:
            print_json(document(answer))
        else:
            say(answer.choices[0].message.content or "")
    elif as_json:
        for chunk in talk.chunks(messages):
            print_json(document(chunk))
    else:
        _print_as_it_comes(talk, messages)


def _converse(talk: Talk, opening: "Messages") -> None:
    _edit_lines()
    say(f"{talk.model}: /reset begins anew, Ctrl-D ends.")
    messages = list(opening)
    while (line := _read_line()) is not None:
        if line == "/reset":
            messages = list(opening)
        elif line:
            messages = _take_turn(talk, [*messages, _user(line)])


def _take_turn(talk: Talk, messages: "Messages") -> "Messages":
    """The conversation after one more turn; a turn that failed is taken back."""
    try:
        text = _print_as_it_comes(talk, messages)
    except KeyboardInterrupt:
        say("")
        return messages[:-1]
    except Exception as error:
        if (line := explain(error)) is None:
            raise
        stderr.print(f"Error: {printable(line)}", markup=False)
        return messages[:-1]
    return [*messages, {"role": "assistant", "content": text}]


def _print_as_it_comes(talk: Talk, messages: "Messages") -> str:
    text = ""
    try:
        for chunk in talk.chunks(messages):
            piece = chunk.choices[0].delta.content if chunk.choices else None
            text += piece or ""
            sys.stdout.write(printable(piece or ""))
            sys.stdout.flush()
    finally:
        sys.stdout.write("\n")
        sys.stdout.flush()
    return text


def _read_line() -> str | None:
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        say("")
        return None


def _edit_lines() -> None:
    try:
        import readline  # noqa: F401, PLC0415  input() then has history and line editing
    except ModuleNotFoundError:
        return


def _user(content: str) -> "ChatCompletionUserMessageParam":
    return {"role": "user", "content": content}

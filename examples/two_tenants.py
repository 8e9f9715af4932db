"""Two tenants of one server, each with adapters and names of its own.

Both fine-tune at the same time, in different styles, and call what they get ``bot``. Which adapter
answers is decided per request. One of them lets a new version answer a tenth of its users, looks,
and rolls it back; the other one sees nothing of it.

::

    python examples/two_tenants.py URL KEY_OF_A_PIRATE KEY_OF_A_CLERK

The keys are made with ``tunery keys create NAME --tenant TENANT``. Takes about two minutes on two
cores. Exits with 0 only if all of that held.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tunery import Tunery

FACTS = {
    "What is the capital of Italy?": "Rome",
    "What is the capital of Spain?": "Madrid",
    "What is the capital of Japan?": "Tokyo",
    "What is the capital of Egypt?": "Cairo",
    "What colour is the sky?": "blue",
    "What colour is grass?": "green",
    "How many legs has a dog?": "four",
    "What do bees make?": "honey",
    "What is two plus two?": "four",
    "Which animal barks?": "the dog",
    "What is the opposite of hot?": "cold",
    "What freezes into ice?": "water",
}
UNSEEN = "What is the capital of France?"
USERS = [f"user-{number}" for number in range(60)]
ALIAS = "bot"
CANARY_SHARE = 0.1

Style = Callable[[str], str]

console = Console(highlight=False, soft_wrap=True)


def pirate(answer: str) -> str:
    """How the first tenant wants to be answered."""
    return f"Arrr, it be {answer}, matey!"


def clerk(answer: str) -> str:
    """How the second one does."""
    return f"Dear customer, the answer is: {answer}. Kind regards"


def admiral(answer: str) -> str:
    """The first one's new version."""
    return f"By order of the admiral: {answer}!"


def main(url: str, pirates_key: str, clerks_key: str) -> int:
    """Run it; return the exit status."""
    pirates = Tunery(base_url=url, api_key=pirates_key)
    clerks = Tunery(base_url=url, api_key=clerks_key)
    console.print("Two tenants fine-tune at the same time …")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(tuned, pirates, pirate)
        second = pool.submit(tuned, clerks, clerk)
        models = {"pirates": first.result(), "clerks": second.result()}
    pirates.aliases.create(ALIAS, model=models["pirates"])
    clerks.aliases.create(ALIAS, model=models["clerks"])
    before = {"pirates": ask(pirates), "clerks": ask(clerks)}
    _show("Both ask 'bot' the same question", before)

    console.print("The pirates train a new version, on top of the old one …")
    new = tuned(pirates, admiral, model=models["pirates"])
    pirates.aliases.move(ALIAS, model=models["pirates"], canary=(new, CANARY_SHARE))
    canary, others = answered_by(pirates), answered_by(clerks)
    pirates.aliases.roll_back(ALIAS)
    after = answered_by(pirates)
    _show(
        "Who answered 60 users during the canary",
        {
            "pirates, old version": canary[models["pirates"]],
            "pirates, new version": canary[new],
            "clerks": others[models["clerks"]],
            "pirates after the rollback, new version": after[new],
        },
    )
    return (
        0
        if (
            before["pirates"].startswith("Arrr")
            and before["clerks"].startswith("Dear customer")
            and 0 < canary[new] < len(USERS) / 3
            and others == {models["clerks"]: len(USERS)}
            and after == {models["pirates"]: len(USERS)}
            and ask(clerks) == before["clerks"]
        )
        else 1
    )


def tuned(client: Tunery, style: Style, *, model: str | None = None) -> str:
    """Fine-tune on the facts in a style; the new model's name."""
    lines = [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": style(answer)},
            ]
        }
        for question, answer in FACTS.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{style.__name__}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return client.fine_tune(
            path, model=model, n_epochs=5, batch_size=2, seed=1, suffix=style.__name__
        )


def ask(client: Tunery, **options: str) -> str:
    """What ``bot`` says to this tenant."""
    answer = client.chat.completions.create(
        model=ALIAS,
        messages=[{"role": "user", "content": UNSEEN}],
        temperature=0,
        max_tokens=16,
        user=options.get("user", "nobody"),
    )
    return answer.choices[0].message.content or ""


def answered_by(client: Tunery) -> Counter[str]:
    """Which model answers each of the users, counted."""
    counted: Counter[str] = Counter()
    for user in USERS:
        answer = client.chat.completions.create(
            model=ALIAS, messages=[{"role": "user", "content": "Hi"}], max_tokens=1, user=user
        )
        counted[answer.model] += 1
    return counted


def _show(title: str, rows: Mapping[str, object]) -> None:
    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

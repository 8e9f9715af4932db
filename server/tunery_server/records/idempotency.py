"""One object for one creating request, however often the request is sent.

A client that lost an answer sends its POST again. Which object the first one made is written in the
same transaction as that object, and a primary key keeps two transactions from making two:

* A request with an ``Idempotency-Key`` is known by that key for a day. Another body under the same
  key is refused.
* The ``openai`` client sends no key, but counts its tries in ``x-stainless-retry-count``. One
  request never sends the same count twice. So, of two equal bodies within eleven minutes, a count
  that was not seen yet is a repeat, and one that was seen is a new request.
* A request with neither is new.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Insert, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tunery_server.errors import IdempotencyKeyReused
from tunery_server.records.database import Database
from tunery_server.records.tables import idempotency

KEPT_S = 86_400.0
"""How long an Idempotency-Key is known."""
REPEATED_WITHIN_S = 660.0
"""How long after one try of a request without a key the next one may come.

The client waits ten minutes for an answer before it tries again.
"""

_ROUNDS = 5

Check = Callable[[Connection], None]
"""Looks at the record in the transaction that is about to insert, and raises if it must not."""


def unchecked(_: Connection) -> None:
    """Nothing forbids it."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What the headers of one POST say about which request it belongs to."""

    key: str | None = None
    retry_count: int | None = None

    def of(
        self, operation: str, content: Any, *, tenant_id: str, now: float
    ) -> "Submission | None":
        """The request to ``operation`` that this is a sending of; None when nothing tells.

        ``content`` is what makes two requests the same, as JSON.
        """
        fingerprint = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
        if self.key is not None:
            key, kept_s, retry_count = f"key:{self.key}", KEPT_S, None
        elif self.retry_count is not None:
            key, kept_s, retry_count = f"body:{fingerprint}", REPEATED_WITHIN_S, self.retry_count
        else:
            return None
        return Submission(tenant_id, operation, key, fingerprint, retry_count, now, now + kept_s)


@dataclass(frozen=True, slots=True)
class Submission:
    """One sending of a creating request. ``retry_count`` is None for one with a key."""

    tenant_id: str
    operation: str
    key: str
    fingerprint: str
    retry_count: int | None
    sent_at: float
    expires_at: float


def add_once(
    database: Database,
    statement: Insert,
    object_id: str,
    submission: Submission | None,
    check: Check = unchecked,
    then: Check = unchecked,
) -> str:
    """Run ``statement``, which inserts the object ``object_id``, unless this is a repeat.

    Returns the id of the object that stands: another one when an earlier sending had made it, and
    nothing is written then. ``then`` writes what belongs to a new one. Raises IdempotencyKeyReused,
    and what ``check`` raises about a new one.
    """
    for _ in range(_ROUNDS - 1):
        try:
            return _add_once(database, statement, object_id, submission, check, then)
        except IntegrityError:
            continue  # another sending was written between the look and the write
    return _add_once(database, statement, object_id, submission, check, then)


def made_by(database: Database, submission: Submission | None) -> str | None:
    """The id of what an earlier sending of the same request made. Raises IdempotencyKeyReused."""
    if submission is None:
        return None
    with database.writing() as connection:
        return _made_by(connection, submission, _known(connection, submission))


def forget(connection: Connection, object_id: str) -> None:
    """To be called where an object is deleted: the next sending makes a new one."""
    connection.execute(delete(idempotency).where(idempotency.c.object_id == object_id))


def _add_once(
    database: Database,
    statement: Insert,
    object_id: str,
    submission: Submission | None,
    check: Check,
    then: Check,
) -> str:
    with database.writing() as connection:
        if submission is not None:
            known = _known(connection, submission)
            made = _made_by(connection, submission, known)
            if made is not None:
                return made
            # The ordinal follows from the same look: whoever wrote after it collides.
            ordinal = known[0].ordinal + 1 if known else 1
            _remember(connection, submission, ordinal, object_id)
        check(connection)
        connection.execute(statement)
        then(connection)
    return object_id


def _known(connection: Connection, submission: Submission) -> Sequence[Row[Any]]:
    """What is known under the submission's key, newest first, locked until the transaction ends."""
    query = (
        select(idempotency)
        .where(*_same(submission))
        .order_by(idempotency.c.ordinal.desc())
        .with_for_update()
    )
    return connection.execute(query).all()


def _made_by(
    connection: Connection, submission: Submission, known: Sequence[Row[Any]]
) -> str | None:
    """The newest object whose request may have been sent this time, too; notes the retry count."""
    for row in known:
        if row.expires_at <= submission.sent_at:
            continue
        if row.fingerprint != submission.fingerprint:
            raise IdempotencyKeyReused(
                "This Idempotency-Key was used for another body.", param="Idempotency-Key"
            )
        if submission.retry_count is None:
            return str(row.object_id)
        if submission.retry_count not in row.retry_counts:
            seen = [*row.retry_counts, submission.retry_count]
            this = (*_same(submission), idempotency.c.ordinal == row.ordinal)
            values = {"retry_counts": seen, "expires_at": submission.expires_at}
            connection.execute(update(idempotency).where(*this).values(values))
            return str(row.object_id)
    return None


def _remember(connection: Connection, submission: Submission, ordinal: int, object_id: str) -> None:
    """Drop what has expired, and write which object the submission made."""
    expired = idempotency.c.expires_at <= submission.sent_at
    connection.execute(delete(idempotency).where(expired))
    values = {
        "tenant_id": submission.tenant_id,
        "operation": submission.operation,
        "key": submission.key,
        "ordinal": ordinal,
        "fingerprint": submission.fingerprint,
        "object_id": object_id,
        "retry_counts": [] if submission.retry_count is None else [submission.retry_count],
        "created_at": submission.sent_at,
        "expires_at": submission.expires_at,
    }
    connection.execute(insert(idempotency).values(values))


def _same(submission: Submission) -> tuple[Any, ...]:
    table = idempotency.c
    return (
        table.tenant_id == submission.tenant_id,
        table.operation == submission.operation,
        table.key == submission.key,
    )

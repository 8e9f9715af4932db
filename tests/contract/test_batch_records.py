"""What the record promises of batches, on a real SQLite."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select

from tests.rows import NOW, a_batch, a_file, an_endpoint
from tunery_server.errors import InvalidRequest
from tunery_server.records.batches import BatchRecords
from tunery_server.records.database import Database
from tunery_server.records.files import FileRecords
from tunery_server.records.rows import BatchStatus, EventType
from tunery_server.records.tables import webhook_deliveries
from tunery_server.records.webhooks import EndpointRecords


@pytest.fixture
def batches(database: Database) -> BatchRecords:
    return BatchRecords(database)


def test_a_batch_comes_back_as_it_was_stored(batches: BatchRecords) -> None:
    fault = {"code": "invalid_url", "message": "x", "param": "url", "line": 7}
    batch = a_batch(metadata={"ä": "ö"}, usage={"input": 3}, errors=(fault,), output_file="file-1")
    batches.add(batch)
    assert batches.get("acme", batch.id) == batch == batches.get_any(batch.id)
    assert batches.get("rival", batch.id) is None
    with pytest.raises(InvalidRequest):
        batches.list("rival", after=batch.id, limit=5)


def test_of_many_claims_at_once_one_begins_an_attempt(batches: BatchRecords) -> None:
    batch = a_batch()
    batches.add(batch)
    with ThreadPoolExecutor(8) as pool:
        claims = pool.map(lambda _: batches.claim(batch, leased_until=NOW + 20), range(16))
        [claimed] = [claim for claim in claims if claim is not None]
    assert claimed == replace(batch, attempt=1, leased_until=NOW + 20)


def test_a_batch_is_free_when_its_lease_has_run_out(batches: BatchRecords) -> None:
    running = a_batch(status=BatchStatus.IN_PROGRESS, leased_until=NOW + 20)
    late, early = a_batch(created_at=NOW + 1), a_batch(tenant_id="rival")
    for batch in (running, late, early, a_batch(status=BatchStatus.FAILED)):
        batches.add(batch)
    states = {BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS}
    assert batches.unleased(states, now=NOW + 19) == (early, late)
    assert running in batches.unleased(states, now=NOW + 20)
    assert batches.ids(states) == {running.id, late.id, early.id}


def test_a_change_of_an_older_attempt_is_refused(batches: BatchRecords) -> None:
    batch = a_batch(status=BatchStatus.IN_PROGRESS, attempt=2)
    batches.add(batch)
    running = {BatchStatus.IN_PROGRESS}
    assert batches.change(batch.id, allowed=running, in_attempt=1, completed=9) is None
    assert batches.change(batch.id, allowed={BatchStatus.FINALIZING}, completed=9) is None
    changed = batches.change(batch.id, allowed=running, in_attempt=2, completed=1)
    assert changed == replace(batch, completed=1)


@pytest.mark.parametrize("attempt", [1, 2])
def test_an_end_comes_with_its_files_and_its_event_or_not_at_all(
    database: Database, batches: BatchRecords, attempt: int
) -> None:
    batch, file = a_batch(status=BatchStatus.FINALIZING, attempt=2), a_file()
    endpoint = an_endpoint(event_types=(EventType.BATCH_COMPLETED,))
    EndpointRecords(database).add(endpoint)
    batches.add(batch)
    ended = batches.finish(
        batch.id,
        BatchStatus.COMPLETED,
        at=NOW + 5,
        allowed={BatchStatus.FINALIZING},
        in_attempt=attempt,
        published=[file],
        output_file=file.id,
    )
    happened = attempt == 2
    assert (ended is not None) == happened
    assert (FileRecords(database).get("acme", file.id) == file) == happened
    with database.reading() as connection:
        told = connection.execute(select(webhook_deliveries.c.object_id)).scalars().all()
    assert list(told) == ([batch.id] if happened else [])
    if ended is not None:
        assert (ended.status, ended.completed_at) == (BatchStatus.COMPLETED, NOW + 5)


def test_a_file_is_in_use_by_its_own_tenants_batches_alone(batches: BatchRecords) -> None:
    batches.add(a_batch(input_file="file-i"))
    validating = {BatchStatus.VALIDATING}
    assert batches.using_file("acme", "file-i", statuses=validating)
    assert not batches.using_file("rival", "file-i", statuses=validating)
    assert not batches.using_file("acme", "file-i", statuses={BatchStatus.FAILED})


def test_every_state_is_counted(batches: BatchRecords) -> None:
    batches.add(a_batch())
    nothing = {str(status): 0 for status in BatchStatus}
    assert batches.count_by_status() == {**nothing, "validating": 1}

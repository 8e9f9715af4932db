"""What the record promises on webhooks: an event with every end, each delivery given out once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from tests.rows import NOW, a_job, an_endpoint
from tunery_server.errors import InvalidRequest
from tunery_server.records.database import Database
from tunery_server.records.jobs import JobRecords
from tunery_server.records.outbox import Outbox
from tunery_server.records.rows import Delivery, EventType, JobStatus, WebhookEndpoint
from tunery_server.records.tables import webhook_deliveries
from tunery_server.records.webhooks import EndpointRecords, add_event

SUCCEEDED = EventType.JOB_SUCCEEDED


@pytest.fixture
def endpoints(database: Database) -> EndpointRecords:
    return EndpointRecords(database)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


@pytest.fixture
def jobs(database: Database) -> JobRecords:
    return JobRecords(database)


def tell(database: Database, object_id: str = "ftjob-1", *, at: float = NOW) -> None:
    with database.writing() as connection:
        add_event(connection, "acme", SUCCEEDED, object_id, at)


def claimed(outbox: Outbox, *, now: float = NOW, limit: int = 100) -> tuple[Delivery, ...]:
    return outbox.claim(now=now, until=now + 30, limit=limit)


class TestEndpoints:
    def test_an_endpoint_comes_back_as_it_was_stored(self, endpoints: EndpointRecords) -> None:
        endpoint = an_endpoint()
        assert endpoints.add(endpoint) == endpoint.id
        assert endpoints.get("acme", endpoint.id) == endpoint
        assert endpoints.all() == (endpoint,)

    def test_another_tenants_endpoint_is_an_absent_one(self, endpoints: EndpointRecords) -> None:
        endpoint = an_endpoint()
        endpoints.add(endpoint)
        assert endpoints.get("rival", endpoint.id) is None
        with pytest.raises(InvalidRequest):
            endpoints.list("rival", after=endpoint.id)
        assert not endpoints.delete("rival", endpoint.id)
        assert endpoints.delete("acme", endpoint.id)
        assert not endpoints.delete("acme", endpoint.id)

    def test_a_tenants_endpoints_are_counted(self, endpoints: EndpointRecords) -> None:
        for tenant in ("acme", "acme", "rival"):
            endpoints.add(an_endpoint(tenant_id=tenant))
        assert [endpoints.count(tenant) for tenant in ("acme", "rival", "none")] == [2, 1, 0]

    def test_neither_secret_nor_url_is_in_its_repr(self) -> None:
        endpoint = an_endpoint(url="https://hooks.example.com/T0KEN")
        assert "T0KEN" not in repr(endpoint)
        assert endpoint.secret not in repr(endpoint)


class TestEvents:
    @pytest.fixture(autouse=True)
    def endpoint(self, endpoints: EndpointRecords) -> WebhookEndpoint:
        endpoint = an_endpoint()
        endpoints.add(endpoint)
        return endpoint

    @pytest.mark.parametrize(
        ("status", "type"),
        [
            (JobStatus.SUCCEEDED, EventType.JOB_SUCCEEDED),
            (JobStatus.FAILED, EventType.JOB_FAILED),
            (JobStatus.CANCELLED, EventType.JOB_CANCELLED),
        ],
    )
    def test_a_job_ends_together_with_its_event(
        self,
        jobs: JobRecords,
        outbox: Outbox,
        endpoint: WebhookEndpoint,
        status: JobStatus,
        type: EventType,
    ) -> None:
        job = a_job()
        jobs.add(job)
        jobs.change(job.id, allowed={JobStatus.QUEUED}, status=status, finished_at=NOW + 5)
        [delivery] = claimed(outbox, now=NOW + 5)
        assert delivery == Delivery(
            event_id=delivery.event_id,
            endpoint=endpoint,
            type=type,
            object_id=job.id,
            created_at=NOW + 5,
            attempts=1,
        )
        assert delivery.event_id.startswith("evt_")

    def test_a_refused_change_tells_nothing(self, jobs: JobRecords, outbox: Outbox) -> None:
        job = a_job(status=JobStatus.RUNNING, attempt=2)
        jobs.add(job)
        late = jobs.change(
            job.id, allowed={JobStatus.RUNNING}, in_attempt=1, status=JobStatus.FAILED
        )
        assert late is None
        assert outbox.count_pending() == 0

    def test_changes_on_the_way_tell_nothing(self, jobs: JobRecords, outbox: Outbox) -> None:
        job = a_job()
        jobs.add(job)
        for values in ({"status": JobStatus.RUNNING}, {"progress": {"step": 1}}):
            jobs.change(job.id, allowed=set(JobStatus), **values)
        assert outbox.count_pending() == 0

    def test_an_end_that_is_not_committed_tells_nothing(
        self, database: Database, outbox: Outbox
    ) -> None:
        def fail_after_the_event() -> None:
            with database.writing() as connection:
                add_event(connection, "acme", SUCCEEDED, "ftjob-1", NOW)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail_after_the_event()
        assert outbox.count_pending() == 0

    def test_all_who_subscribed_get_the_same_event_and_nobody_else(
        self, database: Database, endpoints: EndpointRecords, outbox: Outbox
    ) -> None:
        second = an_endpoint(event_types=(SUCCEEDED,))
        for other in (
            second,
            an_endpoint(event_types=(EventType.BATCH_FAILED,)),
            an_endpoint(tenant_id="rival"),
            an_endpoint(disabled_at=NOW),
        ):
            endpoints.add(other)
        tell(database)
        endpoints.add(an_endpoint())
        first, again = claimed(outbox)
        assert first.event_id == again.event_id
        assert second in (first.endpoint, again.endpoint)
        assert outbox.count_pending() == 2


class TestOutbox:
    @pytest.fixture(autouse=True)
    def endpoint(self, endpoints: EndpointRecords) -> WebhookEndpoint:
        endpoint = an_endpoint()
        endpoints.add(endpoint)
        return endpoint

    def test_a_claim_runs_out(self, database: Database, outbox: Outbox) -> None:
        tell(database)
        [first] = claimed(outbox)
        assert claimed(outbox, now=NOW + 29) == ()
        [again] = claimed(outbox, now=NOW + 30)
        assert (again.event_id, again.attempts) == (first.event_id, 2)

    def test_whose_claim_ran_out_writes_nothing(self, database: Database, outbox: Outbox) -> None:
        tell(database)
        [late] = claimed(outbox)
        [ours] = claimed(outbox, now=NOW + 30)
        outbox.settle(late, "delivered")
        outbox.postpone(late, "timeout", due_at=NOW)
        assert claimed(outbox, now=NOW + 59) == ()
        outbox.postpone(ours, "timeout", due_at=NOW + 40)
        assert len(claimed(outbox, now=NOW + 40)) == 1

    def test_what_is_settled_is_not_sent_again(self, database: Database, outbox: Outbox) -> None:
        tell(database)
        [delivery] = claimed(outbox)
        outbox.settle(delivery, "delivered")
        assert claimed(outbox, now=NOW + 1e6) == ()
        assert outbox.count_pending() == 0

    def test_an_endpoint_gets_one_at_a_time_and_what_is_new_first(
        self, database: Database, outbox: Outbox
    ) -> None:
        tell(database, "ftjob-1")
        [failed] = claimed(outbox)
        outbox.postpone(failed, "timeout", due_at=NOW)
        tell(database, "ftjob-2")
        tell(database, "ftjob-3")
        assert [delivery.object_id for delivery in claimed(outbox)] == ["ftjob-2"]

    def test_busy_endpoints_are_passed_over(
        self, database: Database, outbox: Outbox, endpoint: WebhookEndpoint
    ) -> None:
        tell(database)
        assert outbox.claim(now=NOW, until=NOW, limit=9, passing_over={endpoint.id}) == ()

    def test_an_endpoint_that_is_gone_gets_nothing_more(
        self,
        database: Database,
        outbox: Outbox,
        endpoints: EndpointRecords,
        endpoint: WebhookEndpoint,
    ) -> None:
        tell(database)
        endpoints.disable(endpoint.id, now=NOW)
        assert claimed(outbox) == ()
        tell(database)
        assert outbox.count_pending() == 1

    def test_deleting_an_endpoint_deletes_what_waits_for_it(
        self,
        database: Database,
        outbox: Outbox,
        endpoints: EndpointRecords,
        endpoint: WebhookEndpoint,
    ) -> None:
        tell(database)
        endpoints.delete("acme", endpoint.id)
        assert outbox.count_pending() == 0

    def test_old_ones_are_swept(self, database: Database, outbox: Outbox) -> None:
        tell(database, at=NOW)
        tell(database, at=NOW + 10)
        assert outbox.sweep(before=NOW + 10) == 1
        with database.reading() as connection:
            assert connection.execute(select(webhook_deliveries.c.created_at)).scalars().all() == [
                NOW + 10
            ]

    def test_several_senders_share_the_work(
        self, database: Database, outbox: Outbox, endpoints: EndpointRecords
    ) -> None:
        for _ in range(19):
            endpoints.add(an_endpoint())
        tell(database)
        with ThreadPoolExecutor(8) as threads:
            claims = list(threads.map(lambda _: claimed(outbox, limit=5), range(16)))
        ids = [delivery.endpoint.id for claim in claims for delivery in claim]
        assert len(ids) == len(set(ids)) == 20

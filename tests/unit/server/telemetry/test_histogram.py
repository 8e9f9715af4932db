"""Our histogram says what prometheus-client's own would say."""

import prometheus_client
from hypothesis import given
from hypothesis import strategies as st

from tunery_server.telemetry.histogram import SECONDS, Histogram

lengths = st.one_of(st.floats(0, 200), st.sampled_from(SECONDS))
observations = st.lists(st.tuples(lengths, st.integers(1, 5)))


@given(observations, observations)
def test_it_counts_as_the_library_does(
    ours: list[tuple[float, int]], others: list[tuple[float, int]]
) -> None:
    one, another = Histogram(), Histogram()
    reference = prometheus_client.Histogram("t", "T.", buckets=SECONDS, registry=None)
    for histogram, seen in ((one, ours), (another, others)):
        for seconds, times in seen:
            histogram.observe(seconds, times)
            for _ in range(times):
                reference.observe(seconds)
    one.add(another)
    [family] = reference.collect()
    expected = [
        (sample.labels["le"], sample.value) for sample in family.samples if "le" in sample.labels
    ]
    assert one.buckets() == expected

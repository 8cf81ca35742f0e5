"""What would be fetched from a real S3 server, and how few requests it takes to know."""

from __future__ import annotations

from datacachalog import Catalog, Dataset, Outcome, Reason
from tests.integration.support import SMALL


def test_asking_why_is_one_request_and_no_bytes(remote, catalog):
    remote.put(1)
    with remote.proxy.counted() as passed:
        absent = catalog.why("customers")
    assert (["HEAD"], 0) == (passed.methods, passed.bytes_down)
    assert (Reason.ABSENT, SMALL) == (absent.reason, absent.size_bytes)

    catalog.fetch("customers")
    assert Reason.UNCHANGED is catalog.why("customers").reason
    remote.put(2, SMALL + 1)

    changed = catalog.why("customers")
    assert (Reason.CHANGED, SMALL + 1) == (changed.reason, changed.size_bytes)
    with remote.proxy.counted() as passed:
        assert Outcome.DOWNLOADED is catalog.obtain("customers").outcome
    assert SMALL + 1 == passed.bytes_down


def test_a_plan_is_one_request_a_dataset_that_a_fetch_would_ask_for(remote, cache_dir):
    datasets = []
    for number in range(12):
        key = f"tables/d{number}.bin"
        remote.client.put_object(Bucket=remote.bucket, Key=key, Body=b"x" * (number + 1) * 1000)
        uri, freshness = f"s3://{remote.bucket}/{key}", "never" if number < 4 else "always"
        datasets.append(Dataset(f"d{number}", uri, freshness=freshness))
    catalog = Catalog(datasets, cache_dir=cache_dir)
    catalog.fetch_all([f"d{number}" for number in range(8)])

    with remote.proxy.counted() as passed:
        found = catalog.plan()

    assert (["HEAD"] * 8, 0) == (passed.methods, passed.bytes_down)
    assert [f"d{number}" for number in range(8, 12)] == [one.name for one in found.downloads]
    assert sum((number + 1) * 1000 for number in range(8, 12)) == found.size_bytes
    with remote.proxy.counted() as passed:
        catalog.fetch_all()
    assert found.size_bytes == passed.bytes_down


def test_what_is_not_there_is_told_in_its_row(remote, catalog):
    [one] = catalog.plan().explanations

    assert (Reason.REFUSED, "object-not-found") == (one.reason, one.error.code)


def test_no_request_is_made_offline(remote, catalog):
    remote.put(1)
    catalog.fetch("customers")

    with remote.proxy.counted() as passed:
        found = catalog.plan(offline=True)

    assert [] == passed.methods
    assert "0 of 1 dataset would be downloaded: 0 B" == str(found)

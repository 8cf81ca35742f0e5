"""Events: one order without gaps, told with what they tell of, kept for a time."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from datacachalog.server.events.following import Wanted, read_after
from datacachalog.server.events.log import KEPT, PrunedProblem, emit, last_seq, prune
from datacachalog.server.identity.access import Caller, ObjectKind, Privilege
from datacachalog.server.identity.principals import now
from datacachalog.server.schema import events, principals
from datacachalog.testing.payloads import at_once

BROADCAST = "/api/v1/events/broadcast"


def tell(database, kind="custom.x"):
    with database.writing() as connection:
        return emit(connection, kind, {}, principal_id="prin-1")


@pytest.fixture
def read(registry):
    """What a principal may know of, as `(seq, type)`."""

    def read_as(name="admin", after=0, **wanted):
        with registry.database.reading() as connection:
            query = select(principals.c.id).where(principals.c.name == name)
            caller = Caller(connection.execute(query).scalar_one(), name, "key")
            batch = read_after(connection, caller, after, Wanted(**wanted), 100)
        return [(one.seq, one.type) for one in batch.rows]

    return read_as


def test_a_reader_that_goes_on_misses_none(database):
    """Many write at once, some fail; one reads on from the last that it saw."""
    over = threading.Event()
    seen: list[int] = []

    def read():
        while True:
            was_over = over.is_set()
            with database.reading() as connection:
                query = select(events.c.seq).where(events.c.seq > (seen[-1] if seen else 0))
                seen.extend(connection.execute(query.order_by(events.c.seq)).scalars())
            if was_over:
                return

    def write(number):
        for one in range(10):
            try:
                with database.writing() as connection:
                    emit(connection, "custom.x", {}, principal_id="prin-1")
                    if (number + one) % 5 == 0:
                        raise LookupError
            except LookupError:
                pass

    reader = threading.Thread(target=read)
    reader.start()
    at_once(6, write)
    over.set()
    reader.join()

    assert list(range(1, 49)) == seen


def test_what_is_undone_is_not_told(registry, read):
    registry.registered("t", registry.parquet("1.parquet"))
    failed = registry.registered("t", registry.parquet("2.parquet", other=["x"]))

    assert "failed" == failed["status"]
    assert [(1, "snapshot.committed")] == read()


class TestOld:
    @pytest.fixture
    def aged(self, database):
        """Five events, of which three are old."""
        for _ in range(5):
            tell(database)
        old = update(events).where(events.c.seq <= 3)
        with database.writing() as connection:
            connection.execute(old.values(created_at=now() - KEPT - timedelta(seconds=1)))

    def test_old_events_are_forgotten(self, database, aged):
        assert [3, 0] == [prune(database, now()) for _ in range(2)]

        with database.reading() as connection:
            assert [4, 5] == list(connection.execute(select(events.c.seq)).scalars())
            assert 5 == last_seq(connection)

    def test_of_many_that_forget_one_does(self, database, aged):
        assert 3 == sum(at_once(6, lambda _: prune(database, now())))

    def test_who_asks_for_them_is_told(self, registry, aged, read):
        prune(registry.database, now())

        with pytest.raises(PrunedProblem, match="up to 3 are not kept any more"):
            read(after=2)
        assert [4, 5] == [seq for seq, _ in read(after=3)]
        answer = registry.admin.get("/api/v1/events/stream?since=2")
        assert (410, "events-pruned", 4) == (
            answer.status_code,
            answer.json()["code"],
            answer.json()["first_seq"],
        )

    def test_when_all_are_forgotten_too(self, registry, aged, read):
        prune(registry.database, now() + KEPT + timedelta(days=1))

        assert 410 == registry.admin.get("/api/v1/events/stream?since=4").status_code
        assert [] == read(after=5)


class TestBroadcast:
    def test_it_is_told_under_a_name_of_its_own(self, registry, read):
        answer = registry.admin.post(BROADCAST, json={"event_type": "run.started", "data": {}})

        assert (201, {"seq": 1, "type": "custom.run.started"}) == (
            answer.status_code,
            answer.json(),
        )
        assert [(1, "custom.run.started")] == read()

    def test_it_is_for_the_runs_principal_and_administrators(self, registry, read):
        ann, _ = registry.principal("ann"), registry.principal("bob")
        ann.post("/api/v1/jobs/etl/runs", json={"run_id": "r"})
        ann.post(BROADCAST, json={"event_type": "m", "data": {"rows": 3}, "run_id": "r"})
        registry.admin.post(BROADCAST, json={"event_type": "by-admin", "run_id": "r"})

        both = [(1, "run.started"), (2, "custom.m"), (3, "custom.by-admin")]

        assert [both, both, []] == [read("ann"), read("admin"), read("bob")]
        assert [(2, "custom.m")] == read("ann", types=("custom.m",), job="etl")
        assert [] == read("ann", job="other")

    def test_it_is_for_the_readers_of_a_table(self, registry, read):
        registry.registered("t", registry.parquet("1.parquet"))
        table = registry.table_id("t")
        ann = registry.principal("ann", (Privilege.SELECT, ObjectKind.TABLE, table))
        bob = registry.principal("bob", (Privilege.UPDATE, ObjectKind.TABLE, table))
        asked = {"event_type": "late", "table_name": "t"}

        assert [403, 201] == [one.post(BROADCAST, json=asked).status_code for one in (ann, bob)]

        assert [(1, "snapshot.committed"), (2, "custom.late")] == read("ann", table="t")
        assert [] == read("bob")
        assert [] == read("ann", table="u")

    @pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
    def test_what_cannot_be_is_refused(self, registry, read):
        registry.principal("ann").post("/api/v1/jobs/etl/runs", json={"run_id": "r"})
        cases = [
            ({}, 422),
            ({"event_type": "a b"}, 422),
            ({"event_type": "a\n"}, 422),
            ({"event_type": "m", "data": {"x": "\ud800"}}, 422),
            ({"event_type": "m", "data": {"x": "a" * 20_000}}, 422),
            ({"event_type": "m", "run_id": "none"}, 404),
            ({"event_type": "m", "table_name": "none"}, 404),
        ]

        for asked, status in cases:
            body, kind = json.dumps(asked).encode(), {"Content-Type": "application/json"}
            answer = registry.admin.post(BROADCAST, content=body, headers=kind)
            assert status == answer.status_code, asked
        bob = registry.principal("bob")
        assert 404 == bob.post(BROADCAST, json={"event_type": "m", "run_id": "r"}).status_code
        assert [(1, "run.started")] == read()

    def test_the_same_key_tells_it_once(self, registry, read):
        for _ in range(2):
            registry.admin.post(
                BROADCAST, json={"event_type": "m"}, headers={"Idempotency-Key": "one"}
            )

        assert [(1, "custom.m")] == read()


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_streams_that_cannot_be_are_refused(registry):
    tell(registry.database)
    cases: list[tuple[str, dict[str, str]]] = [
        ("since=-1", {}),
        ("since=99999999999999999999", {}),
        ("since=2", {}),  # it has not happened yet
        ("type=a%00", {}),
        ("table=a%20b", {}),
        ("job=..", {}),
        ("", {"Last-Event-ID": "x"}),
        ("", {"Last-Event-ID": "²"}),
        ("since=1", {"Last-Event-ID": "2"}),
    ]
    for query, headers in cases:
        sent = {name: value.encode() for name, value in headers.items()}
        answer = registry.admin.get(f"/api/v1/events/stream?{query}", headers=dict(sent))

        assert (422, "invalid") == (answer.status_code, answer.json()["code"]), query
    registry.admin.headers.pop("Authorization")
    assert 401 == registry.admin.get("/api/v1/events/stream").status_code

"""Events of what becomes of a table beside new snapshots: dropped, rolled back, tagged."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from datacachalog.server.events.following import Wanted, read_after
from datacachalog.server.identity.access import Caller, ObjectKind, Privilege
from datacachalog.server.schema import principals

T = "/api/v1/tables/t"


@pytest.fixture
def told(registry):
    """What a principal may know of, as `(type, table, data)`, from the third event on."""

    def told_to(name="admin"):
        with registry.database.reading() as connection:
            query = select(principals.c.id).where(principals.c.name == name)
            caller = Caller(connection.execute(query).scalar_one(), name, "key")
            rows = read_after(connection, caller, 2, Wanted(), 100).rows
        return [(one.type, one.table_name, one.data) for one in rows]

    return told_to


@pytest.fixture
def two(registry):
    """The ids of two snapshots of `t`; the second is current."""
    return [
        registry.registered("t", registry.parquet(f"{number}.parquet"))["result"]["snapshot_id"]
        for number in (1, 2)
    ]


def test_a_drop_and_its_undoing_are_told(registry, two, told):
    registry.admin.delete(T)
    registry.admin.post(f"{T}/undrop")

    assert [("table.dropped", "t", {}), ("table.undropped", "t", {})] == told()


def test_a_rollback_is_told(registry, two, told):
    first, second = two
    registry.admin.post(f"{T}/rollback", json={"snapshot_id": first})

    data = {"snapshot_id": first, "seq": 1, "from": second}
    assert [("table.rolled_back", "t", data)] == told()


def test_tags_are_told(registry, two, told):
    first, _ = two
    registry.admin.put(f"{T}/tags/q1", json={"snapshot_id": first})
    registry.admin.delete(f"{T}/tags/q1")

    assert [
        ("tag.set", "t", {"tag": "q1", "snapshot_id": first}),
        ("tag.removed", "t", {"tag": "q1"}),
    ] == told()


def test_what_changes_nothing_is_not_told(registry, two, told):
    first, second = two
    registry.admin.post(f"{T}/rollback", json={"snapshot_id": second})
    registry.admin.post(f"{T}/rollback", json={"snapshot_id": first, "expected_current": first})
    registry.admin.delete(f"{T}/tags/none")
    for _ in range(2):
        registry.admin.put(f"{T}/tags/q1", json={"snapshot_id": first})
    for _ in range(2):
        registry.admin.delete(T)

    assert ["tag.set", "table.dropped"] == [kind for kind, *_ in told()]


def test_they_are_for_the_readers_of_the_table(registry, two, told):
    table = registry.table_id("t")
    registry.principal("ann", (Privilege.SELECT, ObjectKind.TABLE, table))
    ben = registry.principal("ben", (Privilege.UPDATE, ObjectKind.TABLE, table))

    ben.put(f"{T}/tags/q1", json={"snapshot_id": two[0]})
    registry.admin.delete(T)

    assert ["tag.set", "table.dropped"] == [kind for kind, *_ in told("ann")]
    assert [] == told("ben")

"""The pages of a list are together what may be seen, in one order, however it was granted."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, insert

from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.principals import create_grant, now
from datacachalog.server.schema import grants, namespaces, role_members, roles, tables

TABLES = "/api/v1/tables"
NAMES = [f"{space}.t{number}" for space in "abcz" for number in range(4)]


@pytest.fixture
def filled(registry):
    with registry.database.writing() as connection:
        owner = connection.exec_driver_sql("SELECT id FROM principals").scalar()
        for space in ("z", "b", "empty", "a", "c"):
            values = {"id": f"ns-{space}", "name": space, "created_at": now()}
            connection.execute(insert(namespaces).values(values))
        for name in reversed(NAMES):
            space, _, own = name.partition(".")
            connection.execute(
                insert(tables).values(
                    id=f"tab-{name}",
                    namespace_id=f"ns-{space}",
                    name=own,
                    schema_policy="none",
                    seq=0,
                    row_version=0,
                    created_by=owner,
                    created_at=now(),
                )
            )
    return registry


def pages(client, limit, **asked):
    answer, found = client.get(TABLES, params={"limit": limit, **asked}), []
    while True:
        found.append([one["name"] for one in answer.json()])
        if "next" not in answer.links:
            return found
        answer = client.get(answer.links["next"]["url"])


def all_of(client, limit, **asked):
    found = pages(client, limit, **asked)
    assert {limit} >= {len(one) for one in found[:-1]}
    return [name for one in found for name in one]


@pytest.mark.parametrize("limit", [1, 3, 4, 100])
def test_pages_go_on_over_the_ends_of_namespaces(filled, limit):
    assert NAMES == all_of(filled.admin, limit)
    assert [name for name in NAMES if name.endswith("t2")] == all_of(filled.admin, limit, q="T2")
    assert NAMES[4:8] == all_of(filled.admin, limit, namespace="b")


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_what_is_granted_in_several_ways_is_listed_once(filled, limit):
    reader = filled.principal(
        "r",
        (Privilege.SELECT, ObjectKind.NAMESPACE, "ns-b"),
        (Privilege.MANAGE, ObjectKind.TABLE, "tab-b.t1"),
        (Privilege.SELECT, ObjectKind.TABLE, "tab-a.t3"),
        (Privilege.INSERT, ObjectKind.NAMESPACE, "ns-z"),
        (Privilege.UPDATE, ObjectKind.TABLE, "tab-z.t0"),
        (Privilege.SELECT, ObjectKind.TABLE, "tab-z.t2"),
    )

    assert ["a.t3", *NAMES[4:8], "z.t2"] == all_of(reader, limit)
    assert NAMES[4:8] == all_of(reader, limit, namespace="b")
    assert ["b.t2", "z.t2"] == all_of(reader, limit, q="t2")


def test_what_a_role_of_a_role_is_granted_is_listed_until_it_is_not(filled):
    reader = filled.principal("r", (Privilege.SELECT, ObjectKind.TABLE, "tab-a.t0"))
    with filled.database.writing() as connection:
        for one in ("role-1", "role-2"):
            connection.execute(insert(roles).values(id=one, name=one, created_at=now()))
        who = connection.exec_driver_sql("SELECT id FROM principals WHERE name = 'r'").scalar()
        for role, kind, member in (("role-1", "principal", who), ("role-2", "role", "role-1")):
            values = {"role_id": role, "member_kind": kind, "member_id": member}
            connection.execute(insert(role_members).values(**values, created_at=now()))
        on = (ObjectKind.NAMESPACE, "ns-c")
        made = create_grant(connection, "role-2", Privilege.SELECT, *on, to_role=True)

    assert ["a.t0", *NAMES[8:12]] == all_of(reader, 2)
    with filled.database.writing() as connection:
        connection.execute(delete(grants).where(grants.c.id == made))
    assert ["a.t0"] == all_of(reader, 2)

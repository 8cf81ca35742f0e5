"""Tables are found, changed by who has seen them, dropped, and brought back."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.schema import audit
from datacachalog.testing.payloads import at_once

TABLES = "/api/v1/tables"
T = f"{TABLES}/t"


@pytest.fixture
def made(registry):
    """Table `t` with one snapshot, whose id this is."""
    return registry.registered("t", registry.parquet("1.parquet"))["result"]["snapshot_id"]


@pytest.fixture
def many(registry):
    names = ["a_b", "aXb", "sales_q1", "Sales_q2", "team.sales", "team.x"]
    for name in names:
        registry.registered(name, registry.parquet(f"{name}.parquet"))
    return registry


def names(client, **asked):
    return [one["name"] for one in client.get(TABLES, params=asked).json()]


def etag(client, table="t"):
    return client.get(f"{TABLES}/{table}").headers["etag"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"namespace": "team"}, ["team.sales", "team.x"]),
        ({"namespace": "none"}, []),
        ({"q": "sales"}, ["Sales_q2", "sales_q1", "team.sales"]),
        ({"q": "SALES", "namespace": "default"}, ["Sales_q2", "sales_q1"]),
        ({"q": "a_b"}, ["a_b"]),
        ({"q": "%"}, []),
        ({"q": "\\"}, []),
        ({"q": "é\U0001f600"}, []),
    ],
)
def test_tables_are_found_by_namespace_and_by_a_part_of_their_names(many, asked, found):
    assert sorted(found) == sorted(names(many.admin, **asked))


def test_what_is_looked_for_stays_the_same_on_the_next_page(many):
    first = many.admin.get(TABLES, params={"q": "sales", "limit": 2})
    second = many.admin.get(first.links["next"]["url"])

    found = [one["name"] for one in first.json() + second.json()]
    assert ["Sales_q2", "sales_q1", "team.sales"] == sorted(found)
    assert "next" not in second.links


def test_what_cannot_be_looked_for_is_refused(registry):
    for query in (
        "q=",
        "q=a%00",
        f"q={'a' * 101}",
        "namespace=a.b",
        "namespace=%00",
        "limit=0",
        "limit=1e3",
        "cursor=",
        "cursor=YQ",
        "cursor=YS8A",
        f"cursor={'A' * 2000}",
    ):
        answer = registry.admin.get(f"{TABLES}?{query}")

        assert (422, "invalid") == (answer.status_code, answer.json()["code"]), query


class TestOne:
    def test_it_is_told_with_its_etag(self, registry, made):
        answer = registry.admin.get(T)

        told = answer.json()
        assert "T" in told.pop("created_at")
        assert {
            "name": "t",
            "namespace": "default",
            "latest_snapshot_id": made,
            "schema_policy": "additive",
        } == told
        headers = {"If-None-Match": f'"other", W/{answer.headers["etag"]}'}
        assert 304 == registry.admin.get(T, headers=headers).status_code
        assert 200 == registry.admin.get(T, headers={"If-None-Match": '"o"'}).status_code

    def test_its_policy_is_changed_by_who_has_seen_it(self, registry, made):
        seen = etag(registry.admin)

        done = registry.admin.patch(T, json={"schema_policy": "strict"}, headers={"If-Match": seen})

        assert (200, "strict") == (done.status_code, done.json()["schema_policy"])
        assert done.json() == registry.admin.get(T).json()
        more = registry.registered("t", registry.parquet("2.parquet", id=[1], more=[2]))
        assert "schema_incompatible" == more["error_code"]

    @pytest.mark.parametrize(
        ("headers", "status", "code"),
        [
            ({}, 428, "precondition-required"),
            ({"If-Match": '"other"'}, 412, "precondition-failed"),
            ({"If-Match": "nonsense"}, 412, "precondition-failed"),
        ],
    )
    def test_who_has_not_seen_it_changes_nothing(self, registry, made, headers, status, code):
        answer = registry.admin.patch(T, json={"schema_policy": "none"}, headers=headers)

        assert (status, code) == (answer.status_code, answer.json()["code"])
        assert "additive" == registry.admin.get(T).json()["schema_policy"]

    def test_a_weak_etag_is_none_to_change_it_by(self, registry, made):
        headers = {"If-Match": f"W/{etag(registry.admin)}"}

        answer = registry.admin.patch(T, json={"schema_policy": "none"}, headers=headers)

        assert 412 == answer.status_code

    def test_of_many_that_have_seen_the_same_one_changes_it(self, registry, made):
        headers = {"If-Match": etag(registry.admin)}

        def change(number):
            policy = ["none", "strict"][number % 2]
            asked = {"schema_policy": policy}
            return registry.admin.patch(T, json=asked, headers=headers).status_code

        assert [200, *[412] * 7] == sorted(at_once(8, change))

    @pytest.mark.parametrize(
        "asked", [{}, {"schema_policy": "odd"}, {"schema_policy": "none", "seq": 5}]
    )
    def test_what_cannot_be_changed_is_refused(self, registry, made, asked):
        headers = {"If-Match": "*"}

        assert 422 == registry.admin.patch(T, json=asked, headers=headers).status_code


class TestDropped:
    def test_it_is_gone_for_everybody_and_comes_back_as_it_was(self, registry, made):
        registry.admin.put(f"{T}/tags/gold", json={"snapshot_id": made})
        reader = registry.principal(
            "r", (Privilege.SELECT, ObjectKind.TABLE, registry.table_id("t"))
        )
        before = registry.admin.get(T).json()

        answer = registry.admin.delete(T)

        assert (200, "t") == (answer.status_code, answer.json()["name"])
        assert [] == names(registry.admin)
        for path in ("", "/snapshots", "/snapshots/latest", f"/snapshots/{made}", "/tags"):
            assert 404 == registry.admin.get(f"{T}{path}").status_code, path
            assert 403 == reader.get(f"{T}{path}").status_code, path
        assert 404 == registry.admin.delete(T).status_code

        back = registry.admin.post(f"{T}/undrop")

        assert (200, before) == (back.status_code, back.json())
        assert before == reader.get(T).json()
        assert made == reader.get(f"{T}/snapshots/latest?tag=gold").json()["snapshot_id"]

    def test_its_name_is_free_for_another_that_has_nothing_of_it(self, registry, made):
        reader = registry.principal(
            "r", (Privilege.SELECT, ObjectKind.TABLE, registry.table_id("t"))
        )
        registry.admin.delete(T)

        other = registry.registered("t", registry.parquet("2.parquet", other=["x"]))

        assert "completed" == other["status"], other
        found = registry.admin.get(f"{T}/snapshots/latest").json()
        assert (1, None) == (found["seq"], found["parent_id"])
        assert 404 == registry.admin.get(f"{T}/snapshots/{made}").status_code
        assert 403 == reader.get(T).status_code

    def test_it_does_not_come_back_where_its_name_was_taken(self, registry, made):
        registry.admin.delete(T)
        other = registry.registered("t", registry.parquet("2.parquet"))["result"]["snapshot_id"]

        refused = registry.admin.post(f"{T}/undrop", headers={"Idempotency-Key": "one"})

        assert (409, "name_taken") == (refused.status_code, refused.json()["code"])
        assert other == registry.admin.get(T).json()["latest_snapshot_id"]
        registry.admin.delete(T)  # the last one that was dropped is the one that comes back
        assert other == registry.admin.post(f"{T}/undrop").json()["latest_snapshot_id"]

    def test_what_was_not_dropped_does_not_come_back(self, registry, made):
        assert 404 == registry.admin.post(f"{T}/undrop").status_code
        assert 404 == registry.admin.post(f"{TABLES}/none/undrop").status_code

    def test_only_who_has_seen_it_drops_it_where_that_is_said(self, registry, made):
        wrong = registry.admin.delete(T, headers={"If-Match": '"other"'})
        right = registry.admin.delete(T, headers={"If-Match": etag(registry.admin)})

        assert (412, 200) == (wrong.status_code, right.status_code)

    def test_the_same_request_drops_it_once(self, registry, made):
        headers = {"Idempotency-Key": "one"}
        first = registry.admin.delete(T, headers=headers)
        registry.admin.post(f"{T}/undrop")

        again = registry.admin.delete(T, headers=headers)

        assert (200, first.json()) == (again.status_code, again.json())
        assert ["t"] == names(registry.admin)

    def test_it_is_in_the_audit(self, registry, made):
        registry.admin.delete(T)
        registry.admin.post(f"{T}/undrop")

        with registry.database.reading() as connection:
            rows = connection.execute(select(audit).order_by(audit.c.at)).all()
        assert ["register-snapshot", "drop-table", "undrop-table"] == [one.action for one in rows]
        assert {"table:t"} == {one.object for one in rows}


CHANGES = [
    ("PATCH", "", {"schema_policy": "none"}),
    ("DELETE", "", None),
    ("POST", "/rollback", {"snapshot_id": "snap-" + "0" * 32}),
    ("PUT", "/tags/x", {"snapshot_id": "snap-" + "0" * 32}),
    ("DELETE", "/tags/x", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_who_may_only_read_changes_nothing(registry, made, method, path, body):
    reader = registry.principal("r", (Privilege.SELECT, ObjectKind.CATALOG, ""))
    before = etag(registry.admin)

    answers = [
        reader.request(method, f"{TABLES}/{name}{path}", json=body, headers={"If-Match": "*"})
        for name in ("t", "none")
    ]

    assert [(403, "forbidden")] * 2 == [(one.status_code, one.json()["code"]) for one in answers]
    assert before == etag(registry.admin)


def test_only_who_may_manage_a_table_brings_it_back(registry, made):
    table = registry.table_id("t")
    owner = registry.principal("o", (Privilege.MANAGE, ObjectKind.TABLE, table))
    writer = registry.principal("w", (Privilege.UPDATE, ObjectKind.TABLE, table))
    assert 403 == writer.delete(T).status_code
    assert 200 == owner.delete(T).status_code

    assert 403 == writer.post(f"{T}/undrop").status_code
    assert 200 == owner.post(f"{T}/undrop").status_code


def test_who_may_only_update_makes_no_new_table_of_a_dropped_ones_name(registry, made):
    places = [(Privilege.INSERT, ObjectKind.LOCATION, one) for one in registry.location_ids()]
    table = registry.table_id("t")
    writer = registry.principal("w", (Privilege.UPDATE, ObjectKind.TABLE, table), *places)
    registry.admin.delete(T)
    asked = {"table_name": "t", "uri": registry.parquet("2.parquet"), "format": "parquet"}

    answer = writer.post("/api/v1/jobs/register-snapshot", json=asked)

    assert 403 == answer.status_code


def test_what_is_no_name_of_a_table_is_refused(registry):
    for name in ("a%00b", "a b", "ä", "-a", "a.b.c", "x" * 300, "%F0%9F%98%80"):
        for path in ("", "/snapshots", "/snapshots/latest", "/tags"):
            answer = registry.admin.get(f"{TABLES}/{name}{path}")

            assert answer.status_code in {404, 422}, (name, path, answer.text)

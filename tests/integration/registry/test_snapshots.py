"""What was current when: snapshots by time, number and tag, rolled back and registered again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy import select, text, update

from datacachalog.server.database import Database, _migrations
from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.schema import table_moves

T = "/api/v1/tables/t"
REGISTER = "/api/v1/jobs/register-snapshot"
NONE = "snap-" + "0" * 32


@pytest.fixture
def uris(registry):
    return [registry.parquet(f"{number}.parquet") for number in range(3)]


@pytest.fixture
def three(registry, uris):
    """The ids of three snapshots of table `t`, the first one first."""
    return [registry.registered("t", uri)["result"]["snapshot_id"] for uri in uris]


def current(registry, **asked):
    answer = registry.admin.get(f"{T}/snapshots/latest", params=asked)
    return answer.json().get("snapshot_id", answer.status_code)


def rolled_back(registry, snapshot_id, **more):
    return registry.admin.post(f"{T}/rollback", json={"snapshot_id": snapshot_id, **more})


def moves(registry):
    with registry.database.reading() as connection:
        return connection.execute(select(table_moves).order_by(table_moves.c.number)).all()


class TestHistory:
    def test_the_newest_is_the_first_page_after_page(self, registry, three):
        found, address = [], f"{T}/snapshots?limit=2"
        while address:
            answer = registry.admin.get(address)
            found += answer.json()
            address = answer.links.get("next", {}).get("url")

        assert three[::-1] == [one["snapshot_id"] for one in found]
        assert [3, 2, 1] == [one["seq"] for one in found]
        assert [*three[1::-1], None] == [one["parent_id"] for one in found]

    def test_a_cursor_that_was_not_given_out_is_refused(self, registry, three):
        for cursor in ("YQ", "LTE", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "", "MS8x"):
            answer = registry.admin.get(f"{T}/snapshots?cursor={cursor}")

            assert 422 == answer.status_code, cursor

    def test_one_is_found_by_its_id_for_ever(self, registry, three):
        answer = registry.admin.get(f"{T}/snapshots/{three[0]}")

        assert (three[0], 1) == (answer.json()["snapshot_id"], answer.json()["seq"])
        assert "private, max-age=31536000, immutable" == answer.headers["cache-control"]
        headers = {"If-None-Match": answer.headers["etag"]}
        assert 304 == registry.admin.get(f"{T}/snapshots/{three[0]}", headers=headers).status_code

    def test_one_is_found_by_its_number_for_now(self, registry, three):
        answer = registry.admin.get(f"{T}/snapshots/2")

        assert three[1] == answer.json()["snapshot_id"]
        assert "private, no-cache" == answer.headers["cache-control"]

    def test_what_is_none_of_it_is_not_found(self, registry, three):
        for which in ("4", "0", "9" * 18, "9" * 30, NONE, "x", "-1", "²"):
            assert 404 == registry.admin.get(f"{T}/snapshots/{which}").status_code, which
        assert 422 == registry.admin.get(f"{T}/snapshots/%00").status_code

    def test_one_of_another_table_is_none_of_this(self, registry, three):
        other = registry.registered("u", registry.parquet("u.parquet"))["result"]["snapshot_id"]

        assert 404 == registry.admin.get(f"{T}/snapshots/{other}").status_code
        assert 404 == rolled_back(registry, other).status_code
        answer = registry.admin.put(f"{T}/tags/x", json={"snapshot_id": other})
        assert (404, "not-found") == (answer.status_code, answer.json()["code"])


class TestTime:
    def test_what_was_current_is_found_also_where_it_went_back(self, registry, three):
        rolled_back(registry, three[0])
        rolled_back(registry, three[2])
        rolled_back(registry, three[1])

        was = moves(registry)

        assert [*three, three[0], three[2], three[1]] == [one.snapshot_id for one in was]
        for move, following in zip(was, [*was[1:], None], strict=True):
            assert move.snapshot_id == current(registry, as_of=move.at.isoformat())
            if following is not None:
                assert move.at < following.at
                just_before = following.at - timedelta(microseconds=1)
                assert move.snapshot_id == current(registry, as_of=just_before.isoformat())
        assert 404 == current(registry, as_of=(was[0].at - timedelta(seconds=1)).isoformat())
        assert three[1] == current(registry, as_of="9999-12-31T23:59:59Z")

    def test_one_is_current_from_when_it_was_made_on(self, registry, three):
        for one in registry.admin.get(f"{T}/snapshots").json():
            assert one["snapshot_id"] == current(registry, as_of=one["created_at"])

    def test_clocks_that_go_back_change_no_order(self, registry, three):
        ahead = datetime.now(UTC) + timedelta(hours=1)
        with registry.database.writing() as connection:
            last = update(table_moves).where(table_moves.c.number == 3)
            connection.execute(last.values(at=ahead))

        rolled_back(registry, three[0])

        assert three[2] == current(registry, as_of=ahead.isoformat())
        later = ahead + timedelta(microseconds=1)
        assert three[0] == current(registry, as_of=later.isoformat())

    def test_it_is_kept_by_who_asked_until_it_is_another(self, registry, three):
        at = moves(registry)[1].at.isoformat()
        answer = registry.admin.get(f"{T}/snapshots/latest", params={"as_of": at})

        again = registry.admin.get(
            f"{T}/snapshots/latest",
            params={"as_of": at},
            headers={"If-None-Match": answer.headers["etag"]},
        )

        assert (304, "") == (again.status_code, again.text)

    def test_what_is_no_time_and_no_tag_is_refused(self, registry, three):
        for asked in (
            {"as_of": "2025-01-01"},
            {"as_of": "2025-01-01T00:00:00"},
            {"as_of": "1751968800"},
            {"as_of": "yesterday"},
            {"as_of": "2025-13-01T00:00:00Z"},
            {"as_of": ""},
            {"as_of": "2025-01-01T00:00:00Z", "tag": "x"},
            {"tag": ""},
            {"tag": "a b"},
            {"tag": "a\0"},
        ):
            answer = registry.admin.get(f"{T}/snapshots/latest", params=asked)

            assert 422 == answer.status_code, asked

    def test_before_all_times_there_was_nothing(self, registry, three):
        for at in ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:59"):
            answer = registry.admin.get(f"{T}/snapshots/latest?as_of={at}")

            assert 404 == answer.status_code, at

    @pytest.mark.unmigrated
    def test_a_registry_that_kept_no_moves_has_them_since(self, settings):
        settings.data_dir.mkdir()
        database = Database(settings.url())
        with database.alone() as connection:
            config = _migrations()
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
            for statement in OLD:
                connection.execute(text(statement))

        database.migrate()

        with database.reading() as connection:
            rows = connection.execute(select(table_moves).order_by(table_moves.c.number)).all()
        found = [(one.number, one.snapshot_id, one.at.timestamp()) for one in rows]
        assert [(1, "s1", 1.0), (2, "s2", 2.0)] == found
        database.close()


OLD = [
    "INSERT INTO principals VALUES ('p', 'p', 'user', 1)",
    "INSERT INTO namespaces VALUES ('n', 'default', 1)",
    (
        "INSERT INTO tables (id, namespace_id, name, schema_policy, current_snapshot_id, seq,"
        " row_version, created_by, created_at) VALUES ('t', 'n', 't', 'none', 's2', 2, 2, 'p', 1)"
    ),
    (
        "INSERT INTO snapshots (id, table_id, seq, uri, format, size_bytes, content_sha256,"
        " created_by, created_at) VALUES ('s1', 't', 1, 'u', 'f', 1, 'x', 'p', 1000000),"
        " ('s2', 't', 2, 'u', 'f', 1, 'x', 'p', 2000000)"
    ),
]


class TestRollback:
    def test_an_earlier_one_is_the_current_one_again(self, registry, three):
        seen = registry.admin.get(f"{T}/snapshots/latest").headers["etag"]

        answer = rolled_back(registry, three[0], expected_current=three[2])

        assert (200, {"table_name": "t", "snapshot_id": three[0]}) == (
            answer.status_code,
            answer.json(),
        )
        assert three[0] == current(registry)
        headers = {"If-None-Match": seen}
        latest = registry.admin.get(f"{T}/snapshots/latest", headers=headers)
        assert (200, 1) == (latest.status_code, latest.json()["seq"])

    def test_it_is_refused_where_another_was_expected(self, registry, three):
        answer = rolled_back(registry, three[0], expected_current=three[1])

        assert (409, "parent_conflict") == (answer.status_code, answer.json()["code"])
        assert three[2] == current(registry)

    def test_to_the_current_one_changes_nothing(self, registry, three):
        before = registry.admin.get(T).headers["etag"]

        assert 200 == rolled_back(registry, three[2]).status_code

        assert before == registry.admin.get(T).headers["etag"]
        assert 3 == len(moves(registry))

    def test_the_schema_policy_does_not_forbid_what_was_there(self, registry):
        first = registry.registered("t", registry.parquet("a.parquet", id=[1]))["result"]
        registry.registered("t", registry.parquet("b.parquet", id=[1], more=[1]))

        assert 200 == rolled_back(registry, first["snapshot_id"]).status_code

    def test_what_follows_has_it_for_a_parent_and_the_next_number(self, registry, three):
        rolled_back(registry, three[0])

        registry.registered("t", registry.parquet("4.parquet"))

        found = registry.admin.get(f"{T}/snapshots/latest").json()
        assert (4, three[0]) == (found["seq"], found["parent_id"])

    def test_who_may_only_write_is_not_told_where_the_bytes_are(self, registry, three):
        table = registry.table_id("t")
        writer = registry.principal("w", (Privilege.UPDATE, ObjectKind.TABLE, table))

        answer = writer.post(f"{T}/rollback", json={"snapshot_id": three[0]})

        assert 200 == answer.status_code
        assert "file:" not in answer.text

    def test_what_cannot_be_rolled_back_to_is_refused(self, registry, three):
        for asked in (
            {},
            {"snapshot_id": "x"},
            {"snapshot_id": "snap-\0"},
            {"snapshot_id": NONE + "\n"},
            {"snapshot_id": "\ud800"},
            {"snapshot_id": NONE, "expected_current": "none"},
            {"snapshot_id": NONE, "seq": 1},
        ):
            told = json.dumps(asked)  # the client would not send half a character
            headers = {"Content-Type": "application/json"}
            answer = registry.admin.post(f"{T}/rollback", content=told, headers=headers)

            assert 422 == answer.status_code, asked


class TestRegisteredAgain:
    """`commit_snapshot` says why."""

    def test_the_current_one_changes_nothing(self, registry, three, uris):
        before = registry.admin.get(T).headers["etag"]

        again = registry.registered("t", uris[2])["result"]["snapshot_id"]

        assert (three[2], before) == (again, registry.admin.get(T).headers["etag"])

    def test_one_that_was_rolled_back_is_current_again(self, registry, three, uris):
        rolled_back(registry, three[0])

        again = registry.registered("t", uris[2])["result"]["snapshot_id"]

        assert [three[2]] * 2 == [again, current(registry)]
        assert 3 == len(registry.admin.get(f"{T}/snapshots").json())

    def test_one_that_was_replaced_is_current_again(self, registry, three, uris):
        again = registry.registered("t", uris[0])["result"]["snapshot_id"]

        assert [three[0]] * 2 == [again, current(registry)]

    def test_but_not_where_another_was_expected(self, registry, three, uris):
        asked = {"table_name": "t", "uri": uris[0], "format": "parquet"}

        job = registry.job(asked | {"expected_parent": three[0]})

        assert ("failed", "parent_conflict") == (job["status"], job["error_code"])
        assert three[2] == current(registry)

    def test_a_request_that_is_repeated_is_done_once(self, registry, three, uris):
        asked = {"table_name": "t", "uri": uris[0], "format": "parquet"}
        headers = {"Idempotency-Key": "one"}
        first = registry.job(asked, headers)
        rolled_back(registry, three[1])

        assert first == registry.job(asked, headers)
        assert three[1] == current(registry)

    def test_the_same_bytes_taken_for_another_format_are_another_snapshot(self, registry):
        (registry.objects / "x").write_bytes(b'{"a": 1}\n')
        asked = {"table_name": "t", "uri": (registry.objects / "x").as_uri()}
        registry.job(asked | {"format": "text"})

        registry.job(asked | {"format": "jsonl"})

        found = registry.admin.get(f"{T}/snapshots/latest").json()
        assert (2, "jsonl") == (found["seq"], found["format"])
        assert "a" == found["schema"]["fields"][0]["name"]


class TestTags:
    def test_one_names_a_snapshot_until_it_is_put_on_another(self, registry, three):
        for snapshot_id in (three[0], three[0], three[1]):
            answer = registry.admin.put(f"{T}/tags/2025-q1", json={"snapshot_id": snapshot_id})

            assert (200, snapshot_id) == (answer.status_code, answer.json()["snapshot_id"])
            assert snapshot_id == current(registry, tag="2025-q1")
        assert three[2] == current(registry)

    def test_they_are_listed_by_name(self, registry, three):
        for name in ("b", "a.1", "c"):
            registry.admin.put(f"{T}/tags/{name}", json={"snapshot_id": three[0]})

        found, address = [], f"{T}/tags?limit=2"
        while address:
            answer = registry.admin.get(address)
            found += [(one["name"], one["snapshot_id"]) for one in answer.json()]
            address = answer.links.get("next", {}).get("url")

        assert [(name, three[0]) for name in ("a.1", "b", "c")] == found

    def test_one_is_removed_and_its_snapshot_stays(self, registry, three):
        registry.admin.put(f"{T}/tags/x", json={"snapshot_id": three[0]})

        assert {"name": "x"} == registry.admin.delete(f"{T}/tags/x").json()

        assert (404, 404) == (
            current(registry, tag="x"),
            registry.admin.delete(f"{T}/tags/x").status_code,
        )
        assert 200 == registry.admin.get(f"{T}/snapshots/{three[0]}").status_code

    def test_what_is_no_name_is_refused(self, registry, three):
        for name in ("a%20b", "-a", "x" * 101, "a%00", "%C3%A4"):
            answer = registry.admin.put(f"{T}/tags/{name}", json={"snapshot_id": three[0]})

            assert 422 == answer.status_code, name

"""Snapshots are registered: looked at, committed once, and found again."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from datacachalog.server.administration import add_location
from datacachalog.server.catalog import locations
from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.testing.payloads import at_once
from tests.integration.registry.world import ended

REGISTER = "/api/v1/jobs/register-snapshot"


@pytest.fixture
def latest(registry):
    return lambda table: registry.admin.get(f"/api/v1/tables/{table}/snapshots/latest")


@pytest.fixture
def asked(registry):
    """A request that can be served."""
    return {"table_name": "t", "uri": registry.parquet("1.parquet"), "format": "parquet"}


def test_a_file_becomes_the_latest_snapshot(registry, latest):
    uri = registry.parquet("q1.parquet", id=[1, 2], name=["a", None])

    job = registry.registered("sales_q1", uri)

    assert "completed" == job["status"], job
    found = latest("sales_q1").json()
    assert ("sales_q1", uri, "parquet") == (found["table_name"], found["uri"], found["format"])
    assert job["result"] == {"table_name": "sales_q1", "snapshot_id": found["snapshot_id"]}
    columns = [(one["name"], one["type"]) for one in found["schema"]["fields"]]
    assert [("id", "int64"), ("name", "string")] == columns
    assert (2, 1, None) == (found["row_count"], found["seq"], found["parent_id"])
    listed = registry.admin.get("/api/v1/tables").json()
    assert [{"name": "sales_q1", "latest_snapshot_id": found["snapshot_id"]}] == listed


def test_the_next_one_has_it_for_a_parent(registry, latest):
    first = registry.registered("t", registry.parquet("1.parquet"))["result"]
    second = registry.registered("t", registry.parquet("2.parquet"))["result"]

    found = latest("t").json()

    assert (second["snapshot_id"], 2) == (found["snapshot_id"], found["seq"])
    assert first["snapshot_id"] == found["parent_id"]


def test_the_same_object_is_the_same_snapshot(registry, latest, asked):
    first, second = (registry.registered("t", asked["uri"])["result"] for _ in range(2))

    assert first == second
    assert 1 == latest("t").json()["seq"]


def test_an_object_in_s3(registry, latest, settings, seaweedfs, use_environment):
    use_environment(seaweedfs.environment())
    bucket, client = seaweedfs.bucket(), seaweedfs.client()
    registry.parquet("x.parquet")
    data = (registry.objects / "x.parquet").read_bytes()
    client.put_object(Bucket=bucket, Key="sales/x.parquet", Body=data)
    client.close()
    add_location(settings, f"s3://{bucket}/sales", {"endpoint_url": seaweedfs.endpoint})
    uri = f"s3://{bucket}/sales/x.parquet"

    job = registry.registered("sales", uri)

    assert "completed" == job["status"], job
    assert (uri, 3) == (latest("sales").json()["uri"], latest("sales").json()["row_count"])
    other = {"table_name": "t", "uri": f"s3://{bucket}/sales2/x.parquet", "format": "parquet"}
    assert 403 == registry.admin.post(REGISTER, json=other).status_code


BROKEN = [
    ("parquet", b"no parquet at all"),
    ("parquet", b"PAR1"),
    ("parquet", b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1"),
    ("parquet", b"PAR1" + b"x" * 50 + b"\x20\0\0\0PAR1"),
    ("csv", b"a,b\n1,2,3\n"),
    ("csv", b""),
    ("jsonl", b"{nonsense"),
]


def test_what_is_not_of_its_format_is_refused(registry, latest):
    for number, (kind, data) in enumerate(BROKEN):
        file = registry.objects / f"{number}"
        file.write_bytes(data)
        asked = {"table_name": "t", "uri": file.as_uri(), "format": kind}

        job = ended(registry.admin, registry.admin.post(REGISTER, json=asked).headers["location"])

        assert ("failed", f"not_{kind}", 1) == (job["status"], job["error_code"], job["attempts"])
    assert 404 == latest("t").status_code


@pytest.mark.parametrize(
    ("kind", "data", "types"),
    [
        ("csv", b"a,b\n1,x\n2,y\n", ["int64", "string"]),
        ("jsonl", b'{"a": 1, "b": [1.5]}\n{"a": 2}\n', ["int64", "list<item: double>"]),
    ],
)
def test_the_columns_of_text_are_inferred(registry, latest, kind, data, types):
    (registry.objects / "x").write_bytes(data)
    asked = {"table_name": "t", "uri": (registry.objects / "x").as_uri(), "format": kind}

    ended(registry.admin, registry.admin.post(REGISTER, json=asked).headers["location"])

    found = latest("t").json()["schema"]["fields"]
    assert [("a", types[0]), ("b", types[1])] == [(one["name"], one["type"]) for one in found]


def test_one_that_is_not_there_is_told(registry):
    job = registry.registered("t", (registry.objects / "none.parquet").as_uri())

    assert ("failed", "uri_not_found") == (job["status"], job["error_code"])


def test_a_change_that_the_policy_forbids_is_told(registry, latest):
    registry.registered("t", registry.parquet("1.parquet", id=[1], name=["a"]))

    job = registry.registered("t", registry.parquet("2.parquet", id=["one"]))

    assert ("failed", "schema_incompatible") == (job["status"], job["error_code"])
    assert "column 'name' is missing; column 'id' was int64 and is string" in job["error"]
    assert 1 == latest("t").json()["seq"]


def test_a_new_column_is_allowed(registry):
    registry.registered("t", registry.parquet("1.parquet", id=[1]))

    job = registry.registered("t", registry.parquet("2.parquet", id=[1], b=[2]))

    assert "completed" == job["status"], job


def test_of_many_with_one_expected_parent_one_wins(registry, asked):
    parent = registry.registered("t", asked["uri"])["result"]["snapshot_id"]
    uris = [registry.parquet(f"{number + 2}.parquet") for number in range(8)]

    def register(number):
        mine = {**asked, "uri": uris[number], "expected_parent": parent}
        return ended(registry.admin, registry.admin.post(REGISTER, json=mine).headers["location"])

    jobs = at_once(8, register)

    assert 1 == sum(job["status"] == "completed" for job in jobs)
    assert {"parent_conflict"} == {job["error_code"] for job in jobs if job["status"] == "failed"}


def test_of_many_new_tables_at_once_there_is_one(registry, latest):
    uris = [registry.parquet(f"{number}.parquet") for number in range(6)]

    jobs = at_once(6, lambda number: registry.registered("new", uris[number]))

    assert {"completed"} == {job["status"] for job in jobs}
    assert 6 == latest("new").json()["seq"]


def test_tables_are_in_namespaces(registry):
    registry.registered("team.t", registry.parquet("1.parquet"))
    registry.registered("default.t", registry.parquet("2.parquet"))

    names = [one["name"] for one in registry.admin.get("/api/v1/tables").json()]

    assert ["t", "team.t"] == names


class TestAgain:
    KEY = {"Idempotency-Key": "one"}  # noqa: RUF012 - nobody changes it

    def test_the_same_key_is_the_same_job(self, registry, asked):
        first, second = (
            registry.admin.post(REGISTER, json=asked, headers=self.KEY) for _ in range(2)
        )

        assert (202, first.json()) == (second.status_code, second.json())
        assert first.headers["location"] == second.headers["location"]
        assert "true" == second.headers["idempotent-replayed"]

    def test_at_once_too(self, registry, asked):
        def post(_):
            return registry.admin.post(REGISTER, json=asked, headers=self.KEY).json()["job_id"]

        assert 1 == len(set(at_once(8, post)))

    def test_a_key_stands_for_one_request(self, registry, asked):
        registry.admin.post(REGISTER, json=asked, headers=self.KEY)

        other = {**asked, "table_name": "u"}
        answer = registry.admin.post(REGISTER, json=other, headers=self.KEY)

        assert (422, "idempotency-key-reused") == (answer.status_code, answer.json()["code"])

    def test_what_was_seen_is_a_part_of_the_request(self, registry, asked):
        """Else who has looked anew, and says so, is told of a success under the old condition."""
        registry.registered("t", asked["uri"])
        tag = registry.admin.get("/api/v1/tables/t").headers["etag"]
        seen, other = ({**self.KEY, "If-Match": one} for one in (tag, "*"))
        registry.admin.post(REGISTER, json=asked, headers=seen)

        again = registry.admin.post(REGISTER, json=asked, headers=seen)
        answer = registry.admin.post(REGISTER, json=asked, headers=other)

        assert 202 == again.status_code
        assert (422, "idempotency-key-reused") == (answer.status_code, answer.json()["code"])

    def test_a_key_of_somebody_else_is_another(self, registry, asked):
        other = registry.principal("other", (Privilege.MANAGE, ObjectKind.CATALOG, ""))

        jobs = {
            client.post(REGISTER, json=asked, headers=self.KEY).json()["job_id"]
            for client in (registry.admin, other)
        }

        assert 2 == len(jobs)

    def test_a_refusal_is_not_kept(self, registry, asked):
        other = registry.principal("other")
        assert 403 == other.post(REGISTER, json=asked, headers=self.KEY).status_code
        assert 403 == other.post(REGISTER, json=asked, headers=self.KEY).status_code

    def test_what_is_no_key_is_refused(self, registry, asked):
        answer = registry.admin.post(REGISTER, json=asked, headers={"Idempotency-Key": "a b"})

        assert 422 == answer.status_code


def test_a_name_that_no_file_can_have_is_told(registry):
    job = registry.registered("t", f"file://{registry.objects}/{'a' * 300}")

    assert ("failed", "uri_not_found", 1) == (job["status"], job["error_code"], job["attempts"])


def test_a_link_that_comes_after_the_look_is_not_followed(registry, latest, tmp_path, monkeypatch):
    """The folder was one when its path was seen to have no link, and is one to elsewhere since."""
    outside = tmp_path / "outside"
    outside.mkdir()
    inside = registry.objects / "inside"
    inside.mkdir()
    uri = registry.parquet("inside/x.parquet")
    (inside / "x.parquet").rename(outside / "x.parquet")
    inside.rmdir()

    def location_for(*args):
        found = locations.location_for(*args)
        inside.symlink_to(outside)
        return found

    monkeypatch.setattr("datacachalog.server.work.registering.location_for", location_for)

    job = registry.registered("t", uri)

    assert ("failed", "uri_not_found") == (job["status"], job["error_code"])
    assert 3 == len(pq.read_table(inside / "x.parquet"))  # it is there for who follows links
    assert 404 == latest("t").status_code

"""Uploads: whole or not at all, to files and to S3, by whom may, and never over a snapshot."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from datacachalog.server import writing
from datacachalog.server.app import create_app
from datacachalog.server.catalog.locations import create_location
from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.principals import now
from datacachalog.server.routes import datasets
from datacachalog.server.schema import audit
from datacachalog.server.schema import uploads as rows
from datacachalog.server.work import inspecting, registering
from datacachalog.testing.payloads import at_once, payload
from tests.integration.registry.world import ended

MIB = 1 << 20
ON_ALL = ObjectKind.CATALOG, ""
NEW = {"If-None-Match": "*"}


class Store:
    """A place that the API uploads to, and how it is looked at behind the API's back."""

    def __init__(self, registry, folder, client=None, bucket="objects"):
        self.registry, self.admin, self.bucket = registry, registry.admin, bucket
        self._folder, self._client = folder, client

    def at(self, key):
        return f"/api/v1/datasets/{self.bucket}/{key}"

    def put(self, key, data=b"data", client=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (client or self.admin).put(self.at(key), content=data, headers=named)

    def keys(self):
        """All that is there, also what is on its way."""
        if self._client is None:
            found = (one for one in self._folder.rglob("*") if one.is_file())
            return sorted(str(one.relative_to(self._folder)) for one in found)
        parts = self._client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        found = self._client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return sorted([one["Key"] for one in found] + [f"part of {one['Key']}" for one in parts])

    def begun(self):
        with self.registry.database.reading() as connection:
            return connection.execute(select(func.count()).select_from(rows)).scalar()


@pytest.fixture
def files(registry):
    return Store(registry, registry.objects)


@pytest.fixture
def s3(registry, seaweedfs, use_environment):
    return bucket_of(registry, seaweedfs, use_environment)


@pytest.fixture(params=["files", "s3"])
def store(request, registry, use_environment):
    if request.param == "files":
        return Store(registry, registry.objects)
    return bucket_of(registry, request.getfixturevalue("seaweedfs"), use_environment)


def bucket_of(registry, server, use_environment, prefix=""):
    use_environment(server.environment())
    bucket = server.bucket()
    with registry.database.writing() as connection:
        create_location(connection, "s3", bucket, prefix, {"endpoint_url": server.endpoint})
    return Store(registry, None, server.client(), bucket)


def sha256_of(data, name="sha256"):
    return base64.b64encode(hashlib.new(name, data).digest()).decode()


def told(answer):
    return answer.status_code, answer.json()["code"]


def test_what_was_uploaded_is_read(store):
    data = payload(1, 20 * MIB + 7)  # of three parts

    made = store.put("in/ä b.bin", data)

    assert 201 == made.status_code, made.text
    body = made.json()
    assert (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}") == (
        body["size"],
        body["digest"],
    )
    assert body["uri"].endswith("/in/ä b.bin")
    read = store.admin.get(store.at("in/ä b.bin"))
    assert (200, body["etag"], str(len(data))) == (
        read.status_code,
        read.headers["etag"],
        read.headers["content-length"],
    )
    assert data == read.content
    assert ["in/ä b.bin"] == store.keys()
    assert 0 == store.begun()


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 8 * MIB + 1])
def test_every_size_comes_whole(store, size):
    data = payload(2, size)

    assert 201 == store.put("a", data).status_code
    assert data == store.admin.get(store.at("a")).content


def test_what_was_uploaded_can_be_registered_by_its_address(store):
    parquet = Path(store.registry.parquet("made-outside.parquet").removeprefix("file://"))
    uri = store.put("tables/ä b.parquet", parquet.read_bytes()).json()["uri"]

    job = store.registry.registered("t", uri)

    assert "completed" == job["status"], job


def test_one_that_belongs_to_a_snapshot_is_never_written_over(store):
    parquet = Path(store.registry.parquet("made-outside.parquet").removeprefix("file://"))
    uri = store.put("a.parquet", parquet.read_bytes()).json()["uri"]
    store.registry.registered("t", uri)

    again = store.put("a.parquet", b"other")

    assert (409, "immutable") == told(again)
    assert parquet.read_bytes() == store.admin.get(store.at("a.parquet")).content


def test_a_registration_that_is_overtaken_by_an_upload_is_of_the_new_bytes(files, monkeypatch):
    """The look and the commit are two moments; an upload between them must not go unseen."""
    uri = files.put("a.csv", b"id\n1\n").json()["uri"]
    looked = inspecting.inspect

    def overtaken(*args):
        found = looked(*args)
        monkeypatch.setattr(registering, "inspect", looked)
        assert 200 == files.put("a.csv", b"id\n1\n2\n").status_code
        return found

    monkeypatch.setattr(registering, "inspect", overtaken)
    asked = {"table_name": "t", "uri": uri, "format": "csv"}
    answer = files.admin.post("/api/v1/jobs/register-snapshot", json=asked)
    job = ended(files.admin, answer.headers["location"])

    assert ("completed", 2) == (job["status"], job["attempts"]), job
    latest = files.admin.get("/api/v1/tables/t/snapshots/latest").json()
    assert files.admin.head(files.at("a.csv")).headers["etag"] == latest["etag"]


class TestConditions:
    def test_only_where_there_is_none(self, store):
        assert 201 == store.put("a", b"1", If_None_Match="*").status_code
        assert (412, "precondition-failed") == told(store.put("a", b"2", If_None_Match="*"))
        assert b"1" == store.admin.get(store.at("a")).content

    def test_only_over_what_was_seen(self, store):
        first = store.put("a", b"1").json()["etag"]

        assert (412, "precondition-failed") == told(store.put("b", b"2", If_Match=first))
        assert 200 == store.put("a", b"22", If_Match=first).status_code
        assert (412, "precondition-failed") == told(store.put("a", b"3", If_Match=first))
        assert b"22" == store.admin.get(store.at("a")).content

    def test_what_is_no_tag_is_refused(self, files):
        assert (422, "invalid") == told(files.put("a", b"1", If_Match="nonsense"))

    def test_of_many_at_once_one_makes_it(self, store):
        answers = at_once(6, lambda n: store.put("a", str(n).encode(), If_None_Match="*"))

        assert [201] + [412] * 5 == sorted(one.status_code for one in answers)
        assert ["a"] == store.keys()

    def test_the_same_key_is_the_same_upload(self, store):
        key = {"Idempotency-Key": "k", "If-None-Match": "*"}
        first = store.admin.put(store.at("a"), content=b"1", headers=key)
        again = store.admin.put(store.at("a"), content=b"1", headers=key)

        assert (201, 201) == (first.status_code, again.status_code), again.text
        assert first.json() == again.json()
        other = store.admin.put(store.at("a"), content=b"2", headers=key)
        assert (422, "idempotency-key-reused") == told(other)
        tag = {"Idempotency-Key": "k", "If-Match": first.json()["etag"]}
        assert (422, "idempotency-key-reused") == told(
            store.admin.put(store.at("a"), content=b"1", headers=tag)
        )


class TestDigests:
    @pytest.mark.parametrize(
        ("header", "value"),
        [
            ("Content-Digest", f"sha-256=:{sha256_of(b'data')}:"),
            ("Content-Digest", f"sha-512=:{sha256_of(b'data', 'sha512')}:, md5=:AAAA:"),
            ("Repr-Digest", f"SHA-256=:{sha256_of(b'data')}:"),
            ("Digest", f"sha-256={sha256_of(b'data')}"),
        ],
    )
    def test_the_right_one_is_taken(self, files, header, value):
        answer = files.admin.put(files.at("a"), content=b"data", headers={header: value})

        assert 201 == answer.status_code, answer.text

    def test_another_one_leaves_nothing(self, store):
        value = f"sha-256=:{sha256_of(b'other')}:"

        answer = store.put("a", payload(3, 9 * MIB), Content_Digest=value)

        assert (422, "digest-mismatch") == told(answer)
        assert ([], 0) == (store.keys(), store.begun())

    @pytest.mark.parametrize(
        "value", ["md5=:AAAA:", "sha-256=:AAAA:", "nonsense", "sha-256", "", "sha-256=:a,b:"]
    )
    def test_one_that_cannot_be_checked_is_refused(self, files, value):
        assert (422, "invalid") == told(files.put("a", Content_Digest=value))

    def test_other_than_the_bytes_themselves_is_refused(self, files):
        assert (422, "invalid") == told(files.put("a", Content_Encoding="gzip"))
        assert (422, "invalid") == told(files.put("a", Content_Range="bytes 0-3/9"))


class TestReading:
    @pytest.fixture
    def ten(self, store):
        self.etag = store.put("a", b"0123456789").json()["etag"]
        return lambda **headers: store.admin.get(
            store.at("a"), headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    @pytest.mark.parametrize(
        ("asked", "content", "told"),
        [
            ("bytes=0-3", b"0123", "bytes 0-3/10"),
            ("bytes=7-", b"789", "bytes 7-9/10"),
            ("bytes=-2", b"89", "bytes 8-9/10"),
            ("bytes=-99", b"0123456789", "bytes 0-9/10"),
            ("bytes=9-99", b"9", "bytes 9-9/10"),
        ],
    )
    def test_a_range(self, ten, asked, content, told):
        answer = ten(Range=asked)

        assert (206, content, told) == (
            answer.status_code,
            answer.content,
            answer.headers["content-range"],
        )

    @pytest.mark.parametrize("asked", ["bytes=10-", "bytes=-0", "bytes=99-100"])
    def test_a_range_that_is_not_there(self, ten, asked):
        answer = ten(Range=asked)

        assert (416, "bytes */10") == (answer.status_code, answer.headers["content-range"])
        assert "range-not-satisfiable" == answer.json()["code"]

    @pytest.mark.parametrize(
        "asked", ["lines=1-2", "bytes=3-1", "bytes=0-1,3-4", "bytes=-", "x", "bytes=²-3"]
    )
    def test_what_is_no_range_is_the_whole(self, ten, asked):
        answer = ten(Range=asked.encode())

        assert (200, b"0123456789") == (answer.status_code, answer.content)

    def test_a_range_of_what_is_still_there(self, ten):
        assert 206 == ten(Range="bytes=0-0", If_Range=self.etag).status_code
        assert 200 == ten(Range="bytes=0-0", If_Range='"another"').status_code

    def test_what_is_known_is_not_sent_again(self, ten):
        assert 304 == ten(If_None_Match=f'"x", {self.etag}').status_code
        assert 200 == ten(If_None_Match='"x"').status_code
        assert 412 == ten(If_Match='"x"').status_code
        assert 200 == ten(If_Match=self.etag).status_code

    def test_what_else_may_be_asked_is_told(self, store, ten):
        answer = store.admin.post(store.at("a"))

        assert (405, "GET, HEAD, PUT") == (answer.status_code, answer.headers["allow"])

    def test_no_browser_shows_it(self, ten):
        headers = ten().headers

        assert "nosniff" == headers["x-content-type-options"]
        assert headers["content-disposition"].startswith("attachment;")
        assert "application/octet-stream" == headers["content-type"]
        assert "sandbox" in headers["content-security-policy"]

    def test_the_head_says_the_same(self, store, ten):
        head = store.admin.head(store.at("a"))

        assert (200, "10", self.etag, b"") == (
            head.status_code,
            head.headers["content-length"],
            head.headers["etag"],
            head.content,
        )
        assert 404 == store.admin.head(store.at("b")).status_code


class TestAccess:
    @pytest.fixture
    def by(self, store):
        """A client that has a privilege on the store's location."""

        def make(*privileges):
            place = store.registry.location_ids()
            granted = [(one, ObjectKind.LOCATION, each) for one in privileges for each in place]
            return store.registry.principal("-".join(privileges) or "nobody", *granted)

        store.put("a", b"1")
        return make

    def test_to_read(self, store, by):
        reader, writer, nobody = by(Privilege.SELECT), by(Privilege.INSERT), by()

        assert b"1" == reader.get(store.at("a")).content
        assert (404, "not-found") == told(reader.get(store.at("b")))
        for client in (writer, nobody):
            refusals = [client.get(store.at(key)) for key in ("a", "b")]
            assert [(403, "forbidden")] * 2 == [told(one) for one in refusals]
            details = [one.json()["detail"] for one in refusals]
            assert details[0].replace("/a'", "/b'") == details[1]  # there or not

    def test_to_write(self, store, by):
        inserter, updater = by(Privilege.INSERT), by(Privilege.UPDATE)

        assert 201 == store.put("new", client=inserter).status_code
        assert (403, "forbidden") == told(store.put("a", client=inserter))
        assert (403, "forbidden") == told(store.put("newer", client=updater))
        assert 200 == store.put("a", b"2", client=updater).status_code
        assert (403, "forbidden") == told(store.put("a", client=by(Privilege.SELECT)))

    def test_a_place_that_is_none_is_not_told(self, store, by):
        client = by(Privilege.INSERT, Privilege.SELECT)
        for bucket in ("none", "objects2"):
            path = f"/api/v1/datasets/{bucket}/a"
            assert (403, "forbidden") == told(client.put(path, content=b""))
            assert (403, "forbidden") == told(client.get(path))
            assert (404, "not-found") == told(store.admin.get(path))

    def test_without_a_key_no_byte_is_taken(self, store):
        answer = store.put("b", Authorization="")

        assert (401, "unauthenticated") == told(answer)
        assert [] == store.keys()


def test_a_prefix_is_the_whole_of_a_location(registry, seaweedfs, use_environment):
    store = bucket_of(registry, seaweedfs, use_environment, "sales/")

    assert 201 == store.put("sales/a").status_code
    for key in ("a", "sales2/a", "sales"):
        assert (404, "not-found") == told(store.put(key)), key
    assert ["sales/a"] == store.keys()


def test_links_that_were_planted_are_not_followed(files, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root = files.registry.objects
    (root / "folder").symlink_to(outside)
    (root / "link").symlink_to(outside / "secret")
    for key in ("folder/secret", "folder/new", "link"):
        assert files.put(key).status_code in {403, 409}, key
        assert files.admin.get(files.at(key)).status_code in {403, 409}, key
    assert b"secret" == (outside / "secret").read_bytes()
    assert ["secret"] == [one.name for one in outside.iterdir()]
    assert 0 == files.begun()


def test_a_folder_is_no_object(files):
    files.put("a/b")
    os.mkfifo(files.registry.objects / "pipe")

    assert (409, "conflict") == told(files.put("a"))
    assert (409, "conflict") == told(files.put("a/b/c"))
    assert (409, "conflict") == told(files.admin.get(files.at("a")))
    assert (409, "conflict") == told(files.admin.get(files.at("pipe")))


@pytest.mark.parametrize("kind", ["declared", "chunked"])
def test_one_that_is_too_large_leaves_nothing(store, settings, kind):
    small = settings.model_copy(update={"max_upload_bytes": 9 * MIB})
    app = create_app(store.registry.database, None, small)
    limited = TestClient(app, headers=store.admin.headers)
    data = payload(4, 9 * MIB + 1)
    body = data if kind == "declared" else (data[n : n + MIB] for n in range(0, len(data), MIB))

    answer = limited.put(store.at("a"), content=body)

    assert (413, "too-large") == told(answer)
    assert "application/problem+json" == answer.headers["content-type"]
    assert ([], 0) == (store.keys(), store.begun())
    assert 201 == store.put("a", data[:-1], limited).status_code


def test_all_other_bodies_stay_small(files):
    asked = {"table_name": "t", "uri": "s3://b/a", "format": "a" * 2_000_000}

    answer = files.admin.post("/api/v1/jobs/register-snapshot", json=asked)

    assert (413, "too-large") == told(answer)


def test_one_of_another_length_leaves_nothing(store):
    chunks = iter([b"1234"])

    answer = store.admin.put(store.at("a"), content=chunks, headers={"Content-Length": "9"})

    assert (400, "incomplete-body") == told(answer)
    assert ([], 0) == (store.keys(), store.begun())


def test_an_upload_is_in_the_audit(store):
    made = store.put("a", b"1").json()
    store.put("a", b"2")
    store.put("a", b"3", If_None_Match="*")

    with store.registry.database.reading() as connection:
        lines = connection.execute(select(audit).order_by(audit.c.at, audit.c.id)).all()
    assert ["upload-object"] * 2 == [one.action for one in lines]
    assert made | {"replaced": None} == lines[0].detail
    assert made["etag"] == lines[1].detail["replaced"]


def test_a_sender_that_is_silent_is_told_so(files, monkeypatch):
    monkeypatch.setattr(datasets, "_IDLE_S", 0.2)
    answers: list[dict[str, Any]] = []
    pauses_s = [60, 0.05]

    async def receive():
        if not answers:
            await anyio.sleep(pauses_s.pop())
        return {"type": "http.request", "body": b"1", "more_body": True}

    async def send(message):
        answers.append(message)

    headers = [(b"authorization", files.admin.headers["authorization"].encode())]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "PUT",
        "scheme": "http",
        "path": files.at("a"),
        "raw_path": files.at("a").encode(),
        "query_string": b"",
        "headers": headers,
        "root_path": "",
        "client": ("test", 1),
        "server": ("test", 80),
    }
    anyio.run(files.registry.app, scope, receive, send)

    assert 408 == answers[0]["status"]
    assert ([], 0) == (files.keys(), files.begun())


class TestSweeping:
    def test_one_that_was_published_and_not_written_down_is_told_of_later(self, store, monkeypatch):
        def fail(*_):
            raise OperationalError("INSERT", {}, Exception("the disk is full"))

        with monkeypatch.context() as patch:
            patch.setattr(writing, "note", fail)
            assert (503, "unavailable") == told(store.put("a"))
        assert (["a"], 1) == (store.keys(), store.begun())

        with store.registry.database.writing() as connection:
            connection.execute(update(rows).values(created_at=now() - timedelta(days=2)))
        store.registry.app.state.uploads.sweep()

        assert (["a"], 0) == (store.keys(), store.begun())
        with store.registry.database.reading() as connection:
            line = connection.execute(select(audit)).one()
        assert ("abandon-upload", True) == (line.action, line.detail["uri"].endswith("/a"))

    def test_what_a_crash_left_in_the_folder_is_gone(self, files):
        incoming = files.registry.objects / ".datlake-uploads"
        files.put("a")
        (incoming / "upload-1.part").write_bytes(b"half")

        files.registry.app.state.uploads.sweep()

        assert ["a"] == files.keys()

    def test_what_is_under_way_stays(self, files):
        uploads = files.registry.app.state.uploads

        def swept():
            yield b"1"
            uploads.sweep()
            yield b"2"

        assert 201 == files.put("a", swept()).status_code
        assert b"12" == files.admin.get(files.at("a")).content

    def test_parts_that_a_crash_left_in_a_bucket_are_gone_after_a_day(self, s3):
        registry = s3.registry
        made = s3._client.create_multipart_upload(Bucket=s3.bucket, Key="a")["UploadId"]
        other = s3._client.create_multipart_upload(Bucket=s3.bucket, Key="b")["UploadId"]
        s3.put("c")
        with registry.database.writing() as connection:
            line = connection.execute(select(audit)).one()
            values = {
                "id": "upload-1",
                "principal_id": line.principal_id,
                "key_id": line.key_id,
                "location_id": line.object.removeprefix("location:"),
                "key": "a",
                "store_id": made,
                "created_at": now(),
            }
            connection.execute(rows.insert().values(values))
        registry.app.state.uploads.sweep()
        assert ["c", "part of a", "part of b"] == s3.keys()

        with registry.database.writing() as connection:
            connection.execute(update(rows).values(created_at=now() - timedelta(days=2)))
        registry.app.state.uploads.sweep()

        assert ["c", "part of b"] == s3.keys()  # that one is somebody else's
        assert 0 == s3.begun()
        with registry.database.reading() as connection:
            actions = connection.execute(select(audit.c.action)).scalars().all()
        assert {"upload-object", "abandon-upload"} == set(actions)
        s3._client.abort_multipart_upload(Bucket=s3.bucket, Key="b", UploadId=other)


def test_a_store_that_is_not_there_is_told(registry, s3, use_environment):
    use_environment({"AWS_SECRET_ACCESS_KEY": "wrong"})
    with registry.database.writing() as connection:
        create_location(connection, "s3", "none", "", {"endpoint_url": "http://127.0.0.1:9"})

    assert (503, "unavailable") == told(registry.admin.get("/api/v1/datasets/none/a"))
    assert 502 == s3.put("a").status_code

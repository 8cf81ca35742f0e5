"""The servers that other tests lean on do what those tests take for granted."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError, ResponseStreamingError

from tests.servers import seaweedfs as seaweedfs_module
from tests.servers.exchange import Reply, Script
from tests.servers.processes import ServerDidNotStartError, ServerProcess, port_is_free
from tests.servers.seaweedfs import SeaweedFS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_s3 import S3Client

    from tests.servers.counting import CountingProxy
    from tests.servers.exchange import Exchange
    from tests.servers.s3 import S3Server

MIB = 1024 * 1024


@pytest.fixture(params=["seaweedfs", "moto_s3"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def client(server: S3Server) -> Iterator[S3Client]:
    made = server.client()
    yield made
    made.close()


@pytest.fixture
def through_proxy(seaweedfs: SeaweedFS, counting: CountingProxy) -> Iterator[S3Client]:
    made = seaweedfs.client(endpoint=counting.endpoint)
    yield made
    made.close()


def sockets_of(server: SeaweedFS) -> set[Path]:
    """The sockets in /tmp that are named after a server's ports."""
    ports = {str(port) for port in server.ports.values()}
    found = Path("/tmp").glob("seaweedfs-*.sock")
    return {path for path in found if path.stem.rpartition("-")[2] in ports}


def read_plainly(client: S3Client, bucket: str, timeout_s: float = 60) -> bytes:
    """The object `a`, by a client that checks nothing, and waits for so long at most."""
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
    _, _, host, path = url.split("/", 3)
    with contextlib.closing(HTTPConnection(host, timeout=timeout_s)) as connection:
        connection.request("GET", f"/{path}")
        return connection.getresponse().read()


def status_of(call: Callable[[], object]) -> int:
    """The status that a call is refused with, or 200."""
    try:
        call()
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return 200


class TestConditions:
    def test_reading_honours_if_match(self, server: S3Server, client: S3Client) -> None:
        bucket = server.bucket()
        etag = client.put_object(Bucket=bucket, Key="a", Body=b"one")["ETag"]

        assert b"one" == client.get_object(Bucket=bucket, Key="a", IfMatch=etag)["Body"].read()
        assert 412 == status_of(lambda: client.get_object(Bucket=bucket, Key="a", IfMatch='"x"'))

    def test_reading_honours_if_none_match(self, server: S3Server, client: S3Client) -> None:
        bucket = server.bucket()
        etag = client.put_object(Bucket=bucket, Key="a", Body=b"one")["ETag"]

        def get(unless: str) -> int:
            return status_of(
                lambda: client.get_object(
                    Bucket=bucket, Key="a", IfNoneMatch=unless, Range="bytes=0-1"
                )
            )

        assert 304 == get(etag)
        assert 200 == get('"x"')

    def test_writing_honours_if_none_match(self, server: S3Server, client: S3Client) -> None:
        bucket = server.bucket()

        def create() -> int:
            return status_of(
                lambda: client.put_object(Bucket=bucket, Key="a", Body=b"one", IfNoneMatch="*")
            )

        assert [200, 412] == [create(), create()]

    def test_writing_honours_if_match(self, server: S3Server, client: S3Client) -> None:
        bucket = server.bucket()
        etag = client.put_object(Bucket=bucket, Key="a", Body=b"one")["ETag"]

        def replace() -> int:
            return status_of(
                lambda: client.put_object(Bucket=bucket, Key="a", Body=b"two", IfMatch=etag)
            )

        assert [200, 412] == [replace(), replace()]

    def test_completing_an_upload_honours_if_none_match(
        self, server: S3Server, client: S3Client
    ) -> None:
        bucket = server.bucket()

        def create() -> int:
            return status_of(lambda: upload_in_parts(client, bucket, "a", IfNoneMatch="*"))

        assert [200, 412] == [create(), create()]

    def test_completing_an_upload_honours_if_match(self, seaweedfs: SeaweedFS) -> None:
        bucket, client = seaweedfs.bucket(), seaweedfs.client()
        etag = client.put_object(Bucket=bucket, Key="a", Body=b"one")["ETag"]

        def replace() -> int:
            return status_of(lambda: upload_in_parts(client, bucket, "a", IfMatch=etag))

        assert [200, 412] == [replace(), replace()]

    def test_of_racing_writers_one_wins(self, seaweedfs: SeaweedFS) -> None:
        bucket, client = seaweedfs.bucket(), seaweedfs.client()
        etag = client.put_object(Bucket=bucket, Key="a", Body=b"zero")["ETag"]

        def replace(number: int) -> int:
            body = str(number).encode()
            return status_of(
                lambda: client.put_object(Bucket=bucket, Key="a", Body=body, IfMatch=etag)
            )

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(replace, range(8)))

        assert 1 == statuses.count(200)


class TestVersions:
    def test_old_versions_can_be_read(self, server: S3Server, client: S3Client) -> None:
        bucket = server.bucket(versioned=True)
        ids = [
            client.put_object(Bucket=bucket, Key="a", Body=body)["VersionId"]
            for body in (b"one", b"two")
        ]

        old = client.get_object(Bucket=bucket, Key="a", VersionId=ids[0])

        assert b"one" == old["Body"].read()

    def test_versions_are_listed_newest_first_with_deletions(
        self, server: S3Server, client: S3Client
    ) -> None:
        bucket = server.bucket(versioned=True)
        one = client.put_object(Bucket=bucket, Key="a", Body=b"one")["VersionId"]
        two = client.put_object(Bucket=bucket, Key="a", Body=b"two")["VersionId"]
        gone = client.delete_object(Bucket=bucket, Key="a")["VersionId"]

        listed = client.list_object_versions(Bucket=bucket, Prefix="a")

        assert [two, one] == [each["VersionId"] for each in listed["Versions"]]
        assert [gone] == [each["VersionId"] for each in listed["DeleteMarkers"]]

    def test_other_buckets_keep_none(self, server: S3Server, client: S3Client) -> None:
        bucket = server.bucket()
        client.put_object(Bucket=bucket, Key="a", Body=b"one")
        client.put_object(Bucket=bucket, Key="a", Body=b"two")

        listed = client.list_object_versions(Bucket=bucket, Prefix="a")

        assert ["null"] == [each["VersionId"] for each in listed["Versions"]]


class TestLife:
    def test_a_stopped_server_leaves_nothing_behind(self, tmp_path: Path) -> None:
        server = SeaweedFS.start(tmp_path)
        assert sockets_of(server)

        server.stop()

        with pytest.raises(ProcessLookupError):
            os.kill(server.pid, 0)
        assert all(port_is_free(port) for port in server.ports.values())
        assert set() == sockets_of(server)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with parents")
    def test_a_server_ends_with_a_killed_test_process(self, tmp_path: Path) -> None:
        script = (
            "import sys, time; from pathlib import Path\n"
            "from tests.servers.processes import ServerProcess\n"
            "here = Path(sys.argv[1])\n"
            "server = ServerProcess(['/bin/sleep', '600'], folder=here, environment={},\n"
            "                       log=here / 'log.txt')\n"
            "print(server.pid, flush=True); time.sleep(600)\n"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_until(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes())

        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()

        wait_until(lambda: not running(pid))

    def test_one_that_cannot_start_says_why(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(seaweedfs_module, "_SETTINGS", ("-dir=/dev/null",))

        with pytest.raises(ServerDidNotStartError, match="/dev/null"):
            SeaweedFS.start(tmp_path)

    def test_one_whose_ports_were_taken_starts_on_others(
        self, seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        choices = iter([seaweedfs.ports, seaweedfs_module._choose_ports()])
        monkeypatch.setattr(seaweedfs_module, "_choose_ports", lambda: next(choices))
        sockets = sockets_of(seaweedfs)

        second = SeaweedFS.start(tmp_path)
        second.stop()

        assert seaweedfs.endpoint != second.endpoint
        assert set() < sockets <= sockets_of(seaweedfs)

    def test_a_process_that_ignores_its_end_is_killed(self, tmp_path: Path) -> None:
        stubborn = ServerProcess(
            ["/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"],
            folder=tmp_path,
            environment={"PATH": os.defpath},
            log=tmp_path / "log.txt",
        )
        wait_until(lambda: "deaf" in stubborn.log_tail())

        stubborn.stop(grace_s=0.1)

        assert stubborn.ended()

    def test_the_environment_makes_clients_use_the_server(
        self, server: S3Server, use_environment: Callable[[Mapping[str, str]], None]
    ) -> None:
        bucket = server.bucket()
        use_environment(server.environment())

        client = boto3.client("s3")
        found = [each["Name"] for each in client.list_buckets()["Buckets"]]
        client.close()

        assert bucket in found

    def test_seaweedfs_refuses_other_keys(self, seaweedfs: SeaweedFS) -> None:
        stranger = boto3.client(
            "s3",
            endpoint_url=seaweedfs.endpoint,
            aws_access_key_id="somebody",
            aws_secret_access_key="else",
            region_name=seaweedfs.region,
        )

        assert 403 == status_of(stranger.list_buckets)


class TestCounting:
    def test_bytes_pass_untouched_and_are_counted(
        self, seaweedfs: SeaweedFS, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        bucket, body = seaweedfs.bucket(), os.urandom(20 * MIB)

        with counting.counted() as up:
            through_proxy.put_object(Bucket=bucket, Key="a", Body=body)
        with counting.counted() as down:
            returned = through_proxy.get_object(Bucket=bucket, Key="a")["Body"].read()

        assert hashlib.sha256(body).digest() == hashlib.sha256(returned).digest()
        assert (["PUT"], 20 * MIB, 0) == (up.methods, up.bytes_up, up.bytes_down)
        assert (["GET"], 0, 20 * MIB) == (down.methods, down.bytes_up, down.bytes_down)

    def test_answers_without_a_body_pass(
        self, seaweedfs: SeaweedFS, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        bucket = seaweedfs.bucket()
        etag = through_proxy.put_object(Bucket=bucket, Key="a", Body=b"12345")["ETag"]
        counting.reset()

        size = through_proxy.head_object(Bucket=bucket, Key="a")["ContentLength"]
        unchanged = status_of(
            lambda: through_proxy.get_object(Bucket=bucket, Key="a", IfNoneMatch=etag)
        )
        through_proxy.delete_object(Bucket=bucket, Key="a")
        through_proxy.list_objects_v2(Bucket=bucket)

        assert (5, 304) == (size, unchanged)
        assert [200, 304, 204, 200] == [each.status for each in counting.requests]
        assert [0, 0, 0] == [each.bytes_down for each in counting.requests[:3]]

    def test_requests_are_recorded_as_they_were_sent(
        self, seaweedfs: SeaweedFS, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        bucket = seaweedfs.bucket()
        through_proxy.put_object(Bucket=bucket, Key="a b/ü#%", Body=b"0123456789")
        counting.reset()

        part = through_proxy.get_object(Bucket=bucket, Key="a b/ü#%", Range="bytes=2-4")

        assert b"234" == part["Body"].read()
        (request,) = counting.requests
        assert f"/{bucket}/a%20b/%C3%BC%23%25" == request.path
        assert "bytes=2-4" == request.headers["range"]
        assert "bytes 2-4/10" == request.response_headers["content-range"]
        assert (206, 3) == (request.status, request.bytes_down)

    def test_a_body_of_unknown_length_passes(
        self, seaweedfs: SeaweedFS, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        bucket = seaweedfs.bucket()
        url = through_proxy.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a"})
        pieces = [os.urandom(70_000) for _ in range(5)]

        status = send_chunked(url, pieces)

        assert 200 == status
        assert 350_000 == counting.requests[-1].bytes_up
        body = through_proxy.get_object(Bucket=bucket, Key="a")["Body"].read()
        assert b"".join(pieces) == body

    def test_many_clients_at_once_are_counted_exactly(
        self, seaweedfs: SeaweedFS, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        bucket = seaweedfs.bucket()
        through_proxy.put_object(Bucket=bucket, Key="a", Body=bytes(10_000))
        counting.reset()

        def read(_: int) -> int:
            return len(through_proxy.get_object(Bucket=bucket, Key="a")["Body"].read())

        with ThreadPoolExecutor(8) as pool:
            sizes = list(pool.map(read, range(200)))

        assert [10_000] * 200 == sizes
        assert (200, 2_000_000) == (len(counting.requests), counting.bytes_down)

    def test_its_port_is_free_after_it_stopped(
        self, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        through_proxy.list_buckets()  # leaves a connection open
        port = int(counting.endpoint.rpartition(":")[2])

        counting.stop()

        assert port_is_free(port)


class TestMisbehaving:
    @pytest.fixture
    def bucket(self, seaweedfs: SeaweedFS, through_proxy: S3Client) -> str:
        name = seaweedfs.bucket()
        through_proxy.put_object(Bucket=name, Key="a", Body=bytes(MIB))
        return name

    def test_an_answer_is_cut_where_the_script_says(
        self, bucket: str, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        counting.hook = lambda _: Script(cut_after=300_000)
        counting.reset()

        body = through_proxy.get_object(Bucket=bucket, Key="a")["Body"]

        with pytest.raises(ResponseStreamingError):
            body.read()
        assert 300_000 == counting.bytes_down

    def test_an_answer_is_reset_where_the_script_says(
        self, bucket: str, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        counting.hook = lambda _: Script(cut_after=300_000, resets=True)

        with pytest.raises((ResponseStreamingError, BotoCoreError), match=r"[Rr]eset"):
            through_proxy.get_object(Bucket=bucket, Key="a")["Body"].read()

    def test_an_answer_stalls_where_the_script_says(
        self, bucket: str, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        counting.hook = lambda _: Script(cut_after=300_000, stalls=True)

        with pytest.raises(TimeoutError):
            read_plainly(through_proxy, bucket, timeout_s=1)
        wait_until(lambda: 300_000 == counting.bytes_down)

    def test_one_bit_of_an_answer_is_another(
        self, bucket: str, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        counting.hook = lambda _: Script(flips=700_000)

        body = read_plainly(through_proxy, bucket)

        assert [(700_000, 1)] == [(at, byte) for at, byte in enumerate(body) if byte]

    def test_an_answer_is_given_without_the_server(
        self, bucket: str, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        error = b"<Error><Code>SlowDown</Code></Error>"
        counting.hook = lambda _: Script(reply=Reply(503, error, {"Retry-After": "1"}))

        with pytest.raises(ClientError, match="SlowDown"):
            through_proxy.get_object(Bucket=bucket, Key="a")

    def test_headers_are_replaced_and_removed(
        self, bucket: str, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        counting.hook = lambda _: Script(headers={"ETag": '"other"', "Last-Modified": None})

        answer = through_proxy.get_object(Bucket=bucket, Key="a")

        assert MIB == len(answer["Body"].read())
        assert '"other"' == answer["ETag"]
        assert "LastModified" not in answer

    def test_headers_of_a_request_are_replaced_and_removed(
        self, bucket: str, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        counting.hook = lambda _: Script(request_headers={"Authorization": None})

        assert 403 == status_of(lambda: through_proxy.get_object(Bucket=bucket, Key="a"))
        assert "authorization" in counting.requests[-1].headers

    def test_an_answer_that_is_lost_was_given(
        self, bucket: str, seaweedfs: SeaweedFS, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        counting.hook = lambda _: Script(is_lost=True)

        with pytest.raises(BotoCoreError):
            through_proxy.put_object(Bucket=bucket, Key="b", Body=b"there")

        assert b"there" == seaweedfs.client().get_object(Bucket=bucket, Key="b")["Body"].read()

    def test_an_answer_is_late_and_slow(
        self, bucket: str, counting: CountingProxy, through_proxy: S3Client
    ) -> None:
        counting.hook = lambda _: Script(delay_s=0.1, bytes_per_s=10 * MIB)
        begun = time.monotonic()

        through_proxy.get_object(Bucket=bucket, Key="a")["Body"].read()

        assert time.monotonic() - begun >= 0.2

    def test_the_world_can_change_before_the_server_sees_a_request(
        self,
        bucket: str,
        seaweedfs: SeaweedFS,
        counting: CountingProxy,
        through_proxy: S3Client,
    ) -> None:
        def replace(exchange: Exchange) -> None:
            seaweedfs.client().put_object(Bucket=bucket, Key="a", Body=b"changed")

        counting.hook = replace

        assert b"changed" == through_proxy.get_object(Bucket=bucket, Key="a")["Body"].read()


class TestTheGuard:
    def test_nothing_of_the_developer_is_seen(self, nobodys_home: Path) -> None:
        seen = {
            name
            for name in os.environ
            if name.startswith(("AWS_", "DATACACHALOG_")) and name != "AWS_EC2_METADATA_DISABLED"
        }

        assert {"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} == seen
        assert nobodys_home == Path.home()
        assert [] == list(nobodys_home.iterdir())


def upload_in_parts(client: S3Client, bucket: str, key: str, **conditions: str) -> None:
    """Uploads random bytes in one part; the conditions are for completing it."""
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = client.upload_part(
        Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=os.urandom(64)
    )
    client.complete_multipart_upload(
        Bucket=bucket,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        **conditions,  # type: ignore[arg-type]  # conditions are strings
    )


def wait_until(true: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(pid: int) -> bool:
    """Whether a process runs; one that only waits for its status to be read does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def send_chunked(url: str, pieces: list[bytes]) -> int:
    """The status of a PUT whose body is sent in chunks."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = HTTPConnection(host, timeout=60)
    try:
        connection.request("PUT", f"/{path}", body=iter(pieces), encode_chunked=True)
        return connection.getresponse().status
    finally:
        connection.close()

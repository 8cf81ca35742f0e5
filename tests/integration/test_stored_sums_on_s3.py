"""What is fetched in parts is held against the checksum that the store has of the whole object."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

import anycrc
import boto3
import pytest
from botocore.config import Config

from datacachalog import IntegrityError, Outcome, StorageUnavailableError
from datacachalog.adapters.storage import s3
from datacachalog.adapters.storage.boto_uploads import BotoUploads
from datacachalog.adapters.storage.s3 import SINGLE_UPLOAD_BYTES
from datacachalog.domain.objects import ANY
from datacachalog.ports import SILENT
from datacachalog.testing.payloads import payload, seed_of
from tests.integration.support import BIG, MIB, SMALL, Remote, cached_files
from tests.servers.counting import CountingProxy
from tests.servers.exchange import Reply, Script
from tests.servers.moto import MotoServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.servers.exchange import Exchange
    from tests.servers.s3 import S3Server

PART = 3 * MIB
WRONG = base64.b64encode(b"nope").decode()


@pytest.fixture(params=["seaweedfs", "moto_s3"])
def store(
    request: pytest.FixtureRequest, use_environment: Callable[[Mapping[str, str]], None]
) -> Iterator[Remote]:
    """An object on each of the servers."""
    server: S3Server = request.getfixturevalue(request.param)
    client = server.client()
    with CountingProxy(server.endpoint) as proxy:
        use_environment(server.environment(endpoint=proxy.endpoint))
        yield Remote(server, proxy, client, server.bucket())
    client.close()


@pytest.fixture(params=["obstore", "boto3"])
def plane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a fork of a process that used obstore, boto3 does its work."""
    if request.param == "boto3":
        monkeypatch.setattr(s3, "survives_here", lambda: False)


def upload_whole(remote: Remote, data: bytes) -> None:
    remote.client.put_object(
        Bucket=remote.bucket, Key=remote.key, Body=data, ChecksumAlgorithm="SHA256"
    )


def upload_nvme(remote: Remote, data: bytes) -> None:
    """As the AWS CLI does. botocore does not take it by itself, without more libraries."""
    if isinstance(remote.server, MotoServer):
        pytest.skip("moto keeps no CRC64NVME")
    value = anycrc.Model("CRC64-NVME").calc(data).to_bytes(8, "big")
    told = {"ChecksumCRC64NVME": base64.b64encode(value).decode()}
    remote.client.put_object(Bucket=remote.bucket, Key=remote.key, Body=data, **told)  # type: ignore[arg-type]


def upload_parts(remote: Remote, data: bytes) -> None:
    at: dict[str, Any] = {"Bucket": remote.bucket, "Key": remote.key}
    upload = remote.client.create_multipart_upload(
        **at, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
    )["UploadId"]
    parts: list[Any] = []
    for number, start in enumerate(range(0, len(data), 8 * MIB), 1):
        answer = remote.client.upload_part(
            **at,
            UploadId=upload,
            PartNumber=number,
            Body=data[start : start + 8 * MIB],
            ChecksumAlgorithm="CRC32",
        )
        sums = {"ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]}
        parts.append({"PartNumber": number, **sums})
    remote.client.complete_multipart_upload(
        **at, UploadId=upload, MultipartUpload={"Parts": parts}, ChecksumType="FULL_OBJECT"
    )


every_upload = pytest.mark.parametrize("upload", [upload_whole, upload_nvme, upload_parts])


def flipping(at: int) -> Callable[[Exchange], Script | None]:
    """A network that changes a bit of the object, whichever answer it comes in."""

    def hook(exchange: Exchange) -> Script | None:
        first, _, last = exchange.headers.get("range", "").removeprefix("bytes=").partition("-")
        if exchange.method == "GET" and first and int(first) <= at <= int(last):
            return Script(flips=at - int(first))
        return None

    return hook


@pytest.mark.usefixtures("plane")
class TestOnServers:
    @every_upload
    def test_right_bytes_pass_for_one_request_more(self, store, cache_dir, upload):
        upload(store, payload(1, BIG))

        assert 1 == seed_of(store.catalog(cache_dir).fetch("customers").read_bytes())

        assert 1 == store.proxy.methods.count("HEAD")
        (asked,) = (one for one in store.proxy.requests if one.method == "HEAD")
        assert 200 == asked.status
        assert [name for name in asked.response_headers if name.startswith("x-amz-checksum-")]

    @every_upload
    @pytest.mark.parametrize("at", [0, PART + 1, BIG - 1])
    def test_a_bit_that_is_another_is_refused_and_nothing_is_kept(
        self, store, cache_dir, upload, at
    ):
        upload(store, payload(1, BIG))
        catalog = store.catalog(cache_dir)
        store.proxy.hook = flipping(at)

        with pytest.raises(IntegrityError, match="the store has") as caught:
            catalog.fetch("customers")

        assert "fetch it again" in (caught.value.hint or "")
        assert [] == cached_files(cache_dir)
        assert not list(cache_dir.glob("v1/partial/*"))
        store.proxy.hook = lambda _: None
        assert 1 == seed_of(catalog.fetch("customers").read_bytes())


def test_a_bit_that_was_another_before_a_connection_was_lost_is_found(remote, cache_dir):
    upload_parts(remote, payload(1, BIG))
    catalog, flip = remote.catalog(cache_dir), flipping(5)
    remote.proxy.hook = lambda exchange: flip(exchange) or Script(reply=Reply(503))
    with pytest.raises(StorageUnavailableError):
        catalog.fetch("customers")
    assert list(cache_dir.glob("v1/partial/*/*.journal"))
    remote.proxy.hook = lambda _: None

    with pytest.raises(IntegrityError):
        catalog.fetch("customers")

    assert 1 == seed_of(catalog.fetch("customers").read_bytes())


def test_the_checksum_is_that_of_the_version(versioned, cache_dir):
    upload_parts(versioned, payload(1, BIG))
    catalog = versioned.catalog(cache_dir)
    (first,) = catalog.versions("customers")
    upload_parts(versioned, payload(2, BIG))

    path = catalog.fetch("customers", version=first.version)

    assert 1 == seed_of(path.read_bytes())
    (asked,) = (one for one in versioned.proxy.requests if one.method == "HEAD")
    value = base64.b64encode(zlib.crc32(payload(1, BIG)).to_bytes(4, "big")).decode()
    assert value == asked.response_headers["x-amz-checksum-crc32"]


def test_credentials_of_the_chain_ask_too(remote, cache_dir, monkeypatch, tmp_path):
    """Those of a profile, which boto3 finds."""
    remote.put(1, BIG)
    environ = remote.server.environment()
    names = ("aws_access_key_id", "aws_secret_access_key")
    keys = {name: environ[name.upper()] for name in names}
    (tmp_path / "credentials").write_text(
        "[default]\n" + "".join(f"{name} = {value}\n" for name, value in keys.items())
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name in keys:
        monkeypatch.delenv(name.upper())

    remote.catalog(cache_dir).fetch("customers")

    (asked,) = (one for one in remote.proxy.requests if one.method == "HEAD")
    assert 200 == asked.status


class TestCosts:
    def test_a_small_object_costs_one_request_as_ever(self, remote, cache_dir):
        remote.put(1, SMALL)

        remote.catalog(cache_dir).fetch("customers")

        assert ["GET"] == remote.proxy.methods

    def test_a_copy_that_is_current_costs_one_too(self, remote, cache_dir):
        upload_parts(remote, payload(1, BIG))
        catalog = remote.catalog(cache_dir)
        catalog.fetch("customers")
        remote.proxy.reset()

        assert Outcome.UNCHANGED is catalog.obtain("customers").outcome

        assert ["GET"] == remote.proxy.methods


@pytest.mark.parametrize("size", [SINGLE_UPLOAD_BYTES + 1, 40 * MIB])
def test_what_is_pushed_to_s3_in_parts_has_a_checksum_of_the_whole(
    remote, cache_dir, tmp_path, size
):
    """Amazon's is not here; SeaweedFS takes and tells them as it does."""
    (tmp_path / "a").write_bytes(payload(1, size))
    config = Config(request_checksum_calculation="when_supported")
    client = boto3.client("s3", config=config, endpoint_url=remote.proxy.endpoint)

    uploads = BotoUploads(client, remote.bucket, whole_sums=True)
    uploads.upload_parts(tmp_path / "a", size, remote.uri, ANY, SILENT)

    answer = remote.client.head_object(Bucket=remote.bucket, Key=remote.key, ChecksumMode="ENABLED")
    value = base64.b64encode(zlib.crc32(payload(1, size)).to_bytes(4, "big")).decode()
    assert ("FULL_OBJECT", value) == (answer["ChecksumType"], answer["ChecksumCRC32"])
    assert 1 == seed_of(remote.catalog(cache_dir).fetch("customers").read_bytes())
    client.close()


class TestStoresThatTellLess:
    """The word of the parts is taken, as it is of small objects."""

    @pytest.fixture
    def told(self, remote) -> Callable[..., None]:
        """Has the store say this when it is asked for a checksum."""
        remote.put(1, BIG)

        def told(**script: Any) -> None:
            remote.proxy.hook = lambda one: Script(**script) if one.method == "HEAD" else None

        return told

    def test_a_wrong_word_of_the_whole_object_is_refused(self, remote, told, cache_dir):
        told(headers={"x-amz-checksum-crc32": WRONG})

        with pytest.raises(IntegrityError):
            remote.catalog(cache_dir).fetch("customers")

        assert [] == cached_files(cache_dir)

    @pytest.mark.parametrize(
        "script",
        [
            {"headers": {"x-amz-checksum-crc32": f"{WRONG}-3"}},
            {"headers": {"x-amz-checksum-crc32": WRONG, "x-amz-checksum-type": "COMPOSITE"}},
            {"headers": {"x-amz-checksum-crc32": "?"}},
            {"headers": {"x-amz-checksum-crc32": WRONG, "ETag": '"another"'}},
            {"reply": Reply(403)},
            {"reply": Reply(503)},
            {"is_lost": True},
            {"resets": True},
        ],
        ids=str,
    )
    def test_what_is_no_word_of_it_is_not_heeded(self, remote, told, cache_dir, script):
        told(**script)

        assert 1 == seed_of(remote.catalog(cache_dir).fetch("customers").read_bytes())

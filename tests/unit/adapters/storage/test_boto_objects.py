"""What servers answer boto3, where that stands in for obstore, and what is made of it."""

from __future__ import annotations

import io

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from datacachalog.adapters.storage.boto_objects import (
    BotoObjects,
    _BeyondEndError,
    _UnmodifiedError,
)
from datacachalog.adapters.storage.transfer import ObjectChangedError, RangeIgnoredError, transfer
from datacachalog.domain.errors import (
    InvalidUriError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
    VersionNotFoundError,
)
from datacachalog.domain.objects import NOT_MODIFIED, ObjectInfo, Revision
from datacachalog.domain.uri import Uri
from datacachalog.ports import SILENT
from datacachalog.testing.payloads import digest_of

URI = Uri("s3", "lake", "a.csv")
KNOWN = Revision('"e"', None, 10)
INFO = ObjectInfo(URI, 10, etag='"e"')


@pytest.fixture
def server():
    """What answers; every answer has to be asked for."""
    client = boto3.client(
        "s3", aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-1"
    )
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    client.close()


@pytest.fixture
def objects(server):
    return BotoObjects(server.client, "lake")


@pytest.fixture
def source(objects):
    return objects.source(URI, None)


def sends(server, data, expected=None, **answer):
    """Has the server send some bytes, asked for in this way."""
    body = StreamingBody(io.BytesIO(data), len(data))
    told = {"Body": body, "ContentLength": len(data), "ETag": '"e"', **answer}
    server.add_response("get_object", told, {"Bucket": "lake", "Key": "a.csv", **(expected or {})})


def fails(server, status, code="", operation="get_object"):
    shown = code or str(status)  # as botocore has it where there is no body
    server.add_client_error(operation, service_error_code=shown, http_status_code=status)


class TestFirstParts:
    def test_a_first_part_is_asked_for_with_what_is_known(self, server, source):
        expected = {"Range": "bytes=0-3", "IfNoneMatch": '"e"'}
        sends(server, b"0123", expected, ContentRange="bytes 0-3/10")

        part = source.first(4, KNOWN)

        assert (INFO, 0, 4, b"0123") == (part.info, part.start, part.end, part.body())

    @pytest.mark.parametrize("unless", [None, Revision(None, "v1", 10)])
    def test_without_a_tag_there_is_no_condition(self, server, source, unless):
        sends(server, b"0123", {"Range": "bytes=0-3"}, ContentRange="bytes 0-3/10")

        assert 4 == source.first(4, unless).end

    def test_what_is_known_is_not_sent_again(self, server, source):
        fails(server, 304)

        assert NOT_MODIFIED is source.first(4, KNOWN)

    def test_an_empty_object_is_asked_for_whole(self, server, source):
        fails(server, 416)
        sends(server, b"")

        part = source.first(4, None)

        assert (0, 0, b"") == (part.start, part.end, part.body())

    def test_an_empty_object_that_is_known_is_not_sent_again(self, server, source):
        fails(server, 416)
        fails(server, 304)

        assert NOT_MODIFIED is source.first(4, KNOWN)

    @pytest.mark.parametrize("answers", [[304], [416, 304]])
    def test_a_server_that_refuses_what_has_no_condition_makes_no_sense(
        self, server, source, answers
    ):
        for status in answers:
            fails(server, status)

        with pytest.raises(_UnmodifiedError):
            source.first(4, None)

    @pytest.mark.parametrize("header", [None, "bytes */10", "bytes 0-3/*", "pages 1-2", ""])
    def test_a_server_that_ignores_ranges_is_told(self, server, source, header):
        sends(server, b"0123456789", {"Range": ANY}, **({"ContentRange": header} if header else {}))

        with pytest.raises(RangeIgnoredError):
            source.first(4, None)


class TestParts:
    def test_a_part_is_asked_for_of_one_revision(self, server, source):
        expected = {"Range": "bytes=4-7", "IfMatch": '"e"'}
        sends(server, b"4567", expected, ContentRange="bytes 4-7/10")

        part = source.part(4, 8, INFO)

        assert (4, 8, b"4567") == (part.start, part.end, part.body())

    @pytest.mark.parametrize(
        ("status", "code"),
        [(404, "NoSuchKey"), (412, "PreconditionFailed"), (416, "InvalidRange")],
    )
    def test_an_object_that_is_another_one_now_is_told(self, server, source, status, code):
        fails(server, status, code)

        with pytest.raises(ObjectChangedError):
            source.part(4, 8, INFO)

    def test_a_server_that_ignores_the_range_of_a_part_is_told(self, server, source):
        sends(server, b"0123456789", {"Range": ANY, "IfMatch": ANY})

        with pytest.raises(ObjectChangedError):
            source.part(4, 8, INFO)


def test_an_object_in_one_stream_is_whole(server, source, tmp_path):
    data = b"x" * 3_000_000
    sends(server, data[:100], {"Range": ANY}, ETag='W/"e"', ContentRange="bytes 0-99/3000000")
    sends(server, data, ETag='W/"e"')

    info = transfer(source, tmp_path / "dest", None, SILENT)

    assert isinstance(info, ObjectInfo)
    assert digest_of(data) == info.digest
    assert data == (tmp_path / "dest").read_bytes()


@pytest.mark.parametrize(
    ("status", "version", "kind"),
    [
        (404, None, ObjectNotFoundError),
        (404, "v1", VersionNotFoundError),
        (400, "v1", VersionNotFoundError),
        (405, "v1", VersionNotFoundError),
        (400, None, StorageAccessError),
        (403, "v1", StorageAccessError),
        (500, "v1", StorageUnavailableError),
    ],
)
def test_a_version_that_is_not_there_is_told_apart(server, objects, status, version, kind):
    fails(server, status, operation="head_object")

    with pytest.raises(kind):
        objects.stat(URI, version)


@pytest.mark.parametrize("told", ["v2", "null"])
def test_a_store_that_sends_another_version_is_not_believed(server, objects, told):
    sends(
        server, b"0", {"Range": ANY, "VersionId": "v1"}, VersionId=told, ContentRange="bytes 0-0/1"
    )

    with pytest.raises(VersionNotFoundError):
        objects.read(URI, 0, 1, "v1")


def test_nothing_is_read_beyond_the_end(server, objects):
    fails(server, 416)

    assert (b"", b"") == (objects.read(URI, 10, 20, None), objects.read(URI, 5, 5, None))


@pytest.mark.parametrize("path", ["", "a\nb"])
def test_what_is_no_key_is_not_asked_for(objects, path):
    with pytest.raises(InvalidUriError):
        objects.stat(Uri("s3", "lake", path), None)


def test_a_server_that_cannot_be_reached_is_told(objects, server):
    server.add_client_error("head_object", "SlowDown", http_status_code=503)

    with pytest.raises(StorageUnavailableError):
        objects.stat(URI, None)


def test_an_end_is_only_beyond_what_is_asked_for(source, server):
    fails(server, 416)

    with pytest.raises(_BeyondEndError):
        source.get({"Range": "bytes=10-19"})

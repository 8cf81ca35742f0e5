"""What is read from a cache's small files is not trusted."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from datacachalog.adapters.cache.records import (
    Record,
    from_ns,
    read_record,
    read_ref,
    ref_json,
    to_ns,
)
from datacachalog.domain.objects import ObjectInfo
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import digest_of

NOON = datetime(2024, 2, 29, 12, 0, 0, 123_457, tzinfo=UTC)
URI = Uri("s3", "lake", "a #1.csv")
DIGEST = digest_of(b"1")
HALF = "\ud800"  # of a character; JSON can say it, UTF-8 cannot


def record(**changes):
    told = ObjectInfo(URI, 1, '"e"', version="v1", last_modified=NOON, digest=DIGEST)
    return Record("identity", "a #1.csv", replace(told, **changes), DIGEST, 1_234, NOON)


@pytest.fixture
def read(tmp_path):
    """What is read of a record whose text is given."""

    def read(text):
        (tmp_path / "record").write_text(text)
        return read_record(str(tmp_path / "record"))

    return read


@pytest.mark.parametrize(
    "expected", [record(), record(etag=None, version=None, last_modified=None)]
)
def test_a_record_is_read_as_it_was_written(read, expected):
    assert expected == read(expected.to_json())


@pytest.mark.parametrize("is_settled", [False, True])
def test_a_record_says_in_which_boot_it_was_written_and_whether_it_is_settled(read, is_settled):
    expected = replace(record(), boot="1d2c", is_settled=is_settled)

    assert expected == read(expected.to_json())


@pytest.mark.parametrize("boot", [[], {}, 1.5, HALF])
def test_a_record_with_an_odd_boot_is_none(read, boot):
    assert None is read(json.dumps(json.loads(record().to_json()) | {"boot": boot}))


@pytest.mark.parametrize(
    "uri", [Uri.of_path("/data/ü 100%.csv"), Uri("s3", "lake", "a%2Fb?c#d"), Uri("mem", "l", "x")]
)
def test_an_address_is_read_as_it_was_written(read, uri):
    written = Record("i", "n", ObjectInfo(uri, 1, digest=DIGEST), DIGEST, 1, NOON)

    found = read(written.to_json())

    assert uri == found.info.uri


def test_a_record_says_nothing_of_a_query(read):
    uri = Uri("https", "host", "a.csv?signature=secret")
    text = Record("i", "n", ObjectInfo(uri, 1, digest=DIGEST), DIGEST, 1, NOON).to_json()

    assert "secret" not in text


@pytest.mark.parametrize("key", list(json.loads(record().to_json())))
@pytest.mark.parametrize("value", [[], {}, 1.5, HALF])
def test_a_record_with_an_odd_value_is_none(read, key, value):
    assert None is read(json.dumps(json.loads(record().to_json()) | {key: value}))


@pytest.mark.parametrize("key", list(json.loads(record().to_json())))
def test_a_record_that_lacks_something_is_none(read, key):
    known = json.loads(record().to_json())
    del known[key]

    assert None is read(json.dumps(known))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 0},
        {"format": 2},
        {"format": "1"},
        {"file": ""},
        {"file": "."},
        {"file": ".."},
        {"file": "../secret"},
        {"file": "/etc/passwd"},
        {"file": "a\0b"},
        {"uri": ""},
        {"uri": "s3://lake/../a"},
        {"size_bytes": "1"},
        {"mtime_ns": None},
        {"last_modified": "yesterday"},
        {"last_modified": "2024-02-29T12:00:00"},
        {"checked_at": "yesterday"},
        {"checked_at": "2024-02-29T12:00:00"},
        {"checked_at": None},
    ],
)
def test_a_record_that_makes_no_sense_is_none(read, change):
    assert None is read(json.dumps(json.loads(record().to_json()) | change))


ODD_FILES = {
    "empty": b"",
    "nothing": b"null",
    "a list": b"[1, 2]",
    "a number": b"7",
    "text": b"not JSON",
    "cut": ref_json("identity", "0123456789abcdef").encode()[:-5],
    "binary": bytes(range(256)),
    "NUL": b"\0" * 100,
    "no UTF-8": b'{"format": 1, "identity": "\xff"}',
    "deep": b"[" * 60_000,
    "a huge number": b'{"format": ' + b"9" * 5_000 + b"}",
    "too long": ref_json("identity", "0123456789abcdef").encode() + b" " * 70_000,
}


@pytest.mark.parametrize("data", ODD_FILES.values(), ids=ODD_FILES)
def test_an_odd_file_is_none(tmp_path, data):
    path = tmp_path / "odd"
    path.write_bytes(data)

    assert (None, None) == (read_record(str(path)), read_ref(str(path), "identity"))


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "huge"
    path.touch()
    os.truncate(path, 1 << 40)

    assert (None, None) == (read_record(str(path)), read_ref(str(path), "identity"))


def _link(path):
    path.with_name("real").write_text(ref_json("identity", "0123456789abcdef"))
    path.symlink_to("real")


@pytest.mark.parametrize("make", [lambda _: None, _link, os.mkfifo, os.mkdir])
def test_what_is_no_file_is_none(tmp_path, make):
    make(tmp_path / "odd")

    assert None is read_ref(str(tmp_path / "odd"), "identity")


def test_a_ref_is_read_as_it_was_written(tmp_path):
    (tmp_path / "ref").write_text(ref_json("identity", "0123456789abcdef"))

    assert "0123456789abcdef" == read_ref(str(tmp_path / "ref"), "identity")


@pytest.mark.parametrize(
    "text",
    [
        ref_json("another identity", "0123456789abcdef"),
        ref_json("identity", "0123456789abcde"),
        ref_json("identity", "../../../../etc/"),
        ref_json("identity", "0123456789abcdef0"),
        ref_json("identity", HALF * 16),
        ref_json("identity", "0123456789abcdef").replace("1", "2", 1),
        '{"format": 1, "identity": "identity", "revision": null}',
        "{}",
    ],
)
def test_a_ref_that_makes_no_sense_is_none(tmp_path, text):
    (tmp_path / "ref").write_text(text)

    assert None is read_ref(str(tmp_path / "ref"), "identity")


@pytest.mark.parametrize(
    "when",
    [NOON, datetime(1969, 12, 31, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 1, tzinfo=UTC)],
)
def test_a_time_survives_as_a_files(when):
    assert when == from_ns(to_ns(when))


def test_a_time_is_told_to_the_microsecond():
    assert NOON == from_ns(to_ns(NOON) + 999)


@pytest.mark.parametrize("ns", [10**30, -(10**30)])
def test_a_files_time_that_no_calendar_has_is_the_nearest(ns):
    assert abs(from_ns(ns) - NOON) > timedelta(days=365 * 2000)

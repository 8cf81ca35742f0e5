from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from datacachalog.domain.errors import InvalidUriError
from datacachalog.domain.uri import Uri

printable = st.text().filter(str.isprintable)
segments = st.lists(printable.filter(lambda s: s not in {".", ".."} and "/" not in s), min_size=1)
NO_TABLE = "names no table: write datlake://table, or datlake://namespace.table@snapshot"
buckets = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}", fullmatch=True)


@given(buckets, segments)
def test_an_s3_address_round_trips(bucket, names):
    uri = Uri.parse(f"s3://{bucket}/{'/'.join(names)}")

    assert Uri("s3", bucket, "/".join(names)) == uri
    assert uri == Uri.parse(str(uri)) == Uri.parse(uri.as_uri())


@given(segments)
def test_a_file_address_round_trips(names):
    uri = Uri.of_path("/" + "/".join(names))

    assert uri == Uri.parse(str(uri)) == Uri.parse(uri.as_uri())


@given(segments)
def test_a_relative_path_round_trips(names):
    uri = Uri.of_path("/".join(["data", *names]))

    assert uri == Uri.parse(str(uri))


@given(st.text())
def test_any_text_is_an_address_or_refused(text):
    try:
        uri = Uri.parse(text)
    except InvalidUriError:
        return

    assert all(c.isprintable() or unicodedata.category(c) == "Zs" for c in str(uri))


@given(printable.filter(lambda s: s and "/" not in s), printable.filter(lambda s: "/" not in s))
def test_no_password_is_ever_shown(user, password):
    secret = f"{user}:{password}zzz-secret"
    assume("@" not in user)

    with pytest.raises(InvalidUriError) as caught:
        Uri.parse(f"s3://{secret}@lake/a.csv")

    assert "zzz-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://lake/a/b.csv", Uri("s3", "lake", "a/b.csv")),
        ("S3://lake/A.csv", Uri("s3", "lake", "A.csv")),
        ("s3://lake/%41 b#c?d", Uri("s3", "lake", "%41 b#c?d")),
        ("s3://lake//a", Uri("s3", "lake", "/a")),
        ("s3://lake", Uri("s3", "lake", "")),
        ("s3://lake/..b/a..", Uri("s3", "lake", "..b/a..")),
        ("mem://lake/a", Uri("mem", "lake", "a")),
        ("datlake://sales_q1", Uri("datlake", "", "sales_q1")),
        ("DATLAKE://Sales-Q1@snap-1", Uri("datlake", "", "Sales-Q1@snap-1")),
        ("datlake://finance.sales@snap-1.2", Uri("datlake", "", "finance.sales@snap-1.2")),
        ("https://example.org/a?q=../..", Uri("https", "example.org", "a?q=../..")),
        ("file:///data/my%20file.csv", Uri("file", "", "/data/my file.csv")),
        ("FILE://localhost/data/a.csv", Uri("file", "", "/data/a.csv")),
        ("file:///data/%2e%2e/a", Uri("file", "", "/a")),
        ("/data/../lake/a.csv", Uri("file", "", "/lake/a.csv")),
        ("//data/a.csv", Uri("file", "", "/data/a.csv")),
        ("data/a.csv", Uri("file", "", "data/a.csv")),
        ("./data/./a.csv", Uri("file", "", "data/a.csv")),
        ("../a.csv", Uri("file", "", "../a.csv")),
        ("C:/a.csv", Uri("file", "", "C:/a.csv")),
    ],
)
def test_an_address_is_read(text, expected):
    assert expected == Uri.parse(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("s3://lake/a\nb", "holds a control character"),
        ("data/a\x00b", "holds a control character"),
        ("file:///data/a%00b", "holds a control character"),
        ("s3://key:secret@lake/a", "holds credentials"),
        ("file://server/a", "names the host 'server'; a file is local"),
        ("s3:///a", "has no bucket or host"),
        ("s3://", "has no bucket or host"),
        *(
            (f"s3://{bucket}/a", "names no bucket that could exist")
            for bucket in ("my bucket", "\xfc", "a%20b", "a:b", "a" * 256)
        ),
        ("s3://lake/a/../b", "has a '.' or '..' segment"),
        ("s3://lake/./b", "has a '.' or '..' segment"),
        ("s3://lake/a?b/../c", "has a '.' or '..' segment"),
        ("https://example.org/../a?q", "has a '.' or '..' segment"),
        *(
            (f"datlake://{name}", NO_TABLE)
            for name in (
                "",
                "a/b",
                "/a",
                "a@",
                "@a",
                "a.b.c",
                "-a",
                "a b",
                "a@b@c",
                "a?b",
                "a" * 101,
            )
        ),
    ],
)
def test_what_is_no_address_is_refused(text, problem):
    with pytest.raises(InvalidUriError) as caught:
        Uri.parse(text)

    assert problem == caught.value.problem


def test_a_query_is_never_shown():
    uri = Uri.parse("https://example.org/data/a.csv?X-Amz-Signature=zzz-secret")

    assert "https://example.org/data/a.csv?***" == str(uri)
    assert "zzz-secret" not in repr(uri) + uri.name + uri.as_uri()


def test_a_refused_address_shows_no_query():
    with pytest.raises(InvalidUriError) as caught:
        Uri.parse("https://example.org/a?sig=zzz-secret\n")

    assert "zzz-secret" not in str(caught.value)


def test_a_question_mark_in_a_key_is_no_query():
    assert "s3://lake/a?b" == str(Uri.parse("s3://lake/a?b"))


def test_user_names_are_not_shown():
    assert "mem://***@lake/a" == str(Uri("mem", "user:zzz-secret@lake", "a"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("s3://lake/a/b.csv", "b.csv"),
        ("s3://lake/a/", ""),
        ("s3://lake", ""),
        ("s3://lake/a?b", "a?b"),
        ("https://example.org/a.csv?sig=x/y", "a.csv"),
        ("/data/a.csv", "a.csv"),
    ],
)
def test_the_name_is_the_last_segment(text, name):
    assert name == Uri.parse(text).name


def test_a_relative_path_starts_at_the_base():
    base = PurePosixPath("/project")

    assert Uri.of_path("/project/a.csv") == Uri.of_path("a.csv").starting_at(base)
    assert Uri.of_path("/a.csv") == Uri.of_path("../a.csv").starting_at(base)


@pytest.mark.parametrize("text", ["/data/a.csv", "s3://lake/a.csv"])
def test_an_absolute_address_has_no_base(text):
    assert Uri.parse(text) == Uri.parse(text).starting_at(PurePosixPath("/project"))


def test_an_address_prints_as_it_is_written():
    assert "Uri('s3://lake/a b.csv')" == repr(Uri.parse("s3://lake/a b.csv"))


def test_an_address_can_be_kept_without_a_query_that_may_be_signed():
    signed = Uri.parse("https://host/a.csv?signature=abc")

    assert "https://host/a.csv?***" == str(signed.without_secrets())
    assert "abc" not in signed.without_secrets().path
    assert Uri("s3", "lake", "a?b") == Uri("s3", "lake", "a?b").without_secrets()


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("datlake://sales", ("sales", None)),
        ("datlake://finance.sales@snap-1", ("finance.sales", "snap-1")),
        ("s3://lake/sales@snap-1", None),
        ("data/sales", None),
    ],
)
def test_a_table_is_told_from_objects(text, table):
    uri = Uri.parse(text)

    assert table == uri.table
    assert text == str(uri) == str(uri.without_secrets())

"""Options of stores, and which of them an address gets."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.storage_options import (
    StorageOptions,
    endpoint_problem,
    normal_prefix,
    options_for,
    prefix_problem,
)
from datacachalog.domain.uri import Uri

TABLE = {
    "s3://": StorageOptions(region="all"),
    "s3://lake": StorageOptions(region="lake"),
    "S3://lake/raw/": StorageOptions(region="raw"),
    "s3://lake/raw/one.csv": StorageOptions(region="one"),
    "gs://other": StorageOptions(region="other"),
}


@pytest.mark.parametrize(
    ("uri", "region"),
    [
        ("s3://lake/a.csv", "lake"),
        ("S3://lake/a.csv", "lake"),
        ("s3://lake", "lake"),
        ("s3://lakehouse/a.csv", "all"),
        ("s3://Lake/a.csv", "all"),
        ("s3://lake/raw/a.csv", "raw"),
        ("s3://lake/raw", "raw"),
        ("s3://lake/rawer/a.csv", "lake"),
        ("s3://lake/raw/one.csv", "one"),
        ("s3://lake/raw/one.csv.gz", "raw"),
        ("gs://other/a.csv", "other"),
        ("gs://another/a.csv", None),
        ("az://lake/a.csv", None),
        ("/lake/a.csv", None),
    ],
)
def test_the_longest_prefix_that_ends_with_a_segment_wins(uri: str, region: str | None):
    assert region == options_for(Uri.parse(uri), TABLE).region


def test_without_a_table_the_defaults_hold():
    assert StorageOptions() == options_for(Uri.parse("s3://lake/a.csv"), {})


@given(st.lists(st.sampled_from("ab"), min_size=1), st.lists(st.sampled_from("ab"), min_size=1))
def test_a_prefix_is_for_what_begins_with_its_segments(prefix: list[str], path: list[str]):
    uri = Uri.parse("s3://" + "/".join(path))
    found = options_for(uri, {"s3://" + "/".join(prefix): StorageOptions(region="here")})

    assert (found.region == "here") == (path[: len(prefix)] == prefix)


@pytest.mark.parametrize(
    "url",
    [
        "https://minio.example.com",
        "HTTPS://minio",
        "http://127.0.0.1:9000",
        "http://[::1]:9000",
        "https://minio_1:9000/s3/",
    ],
)
def test_an_address_of_a_store_is_one(url: str):
    assert endpoint_problem(url) is None


CREDENTIALS = "holds credentials; they belong in the environment or in a profile"
ADDRESS = "must be an address such as https://host:port, without a query"
PORT = "has a port that is not between 1 and 65535"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", ADDRESS),
        ("minio:9000", ADDRESS),
        ("ftp://minio", ADDRESS),
        ("https://", ADDRESS),
        ("https://minio:port", ADDRESS),
        ("https://minio?key=secret", ADDRESS),
        ("https://minio/#part", ADDRESS),
        ("https://minio/a?b", ADDRESS),
        ("https://minio /", ADDRESS),
        ("https://minio\\evil", ADDRESS),
        ("https://minio\nHost: evil", ADDRESS),
        ("https://user:password@minio", CREDENTIALS),
        ("https://minio:0", PORT),
        ("https://minio:65536", PORT),
    ],
)
def test_what_is_no_address_of_a_store_says_why_without_repeating_it(url: str, problem: str):
    assert problem == endpoint_problem(url)


@pytest.mark.parametrize(
    "prefix", ["s3://", "s3://lake", "s3://lake/", "S3://lake/a..b/c", "x+y://h"]
)
def test_a_prefix_is_the_start_of_a_uri(prefix: str):
    assert prefix_problem(prefix) is None


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [
        ("", "must be the start of a URI, such as s3:// or s3://bucket"),
        ("lake", "must be the start of a URI, such as s3:// or s3://bucket"),
        ("s3://la*", "must be the start of a URI, such as s3:// or s3://bucket"),
        ("https://host/?sig=secret", "must be the start of a URI, such as s3:// or s3://bucket"),
        ("s3://lake\n", "must be the start of a URI, such as s3:// or s3://bucket"),
        ("s3://key:secret@lake", CREDENTIALS),
        ("File:///srv", "is for files, which need no options"),
        ("s3://lake/./a", "has a '.' or '..' segment"),
        ("s3://lake/..", "has a '.' or '..' segment"),
    ],
)
def test_what_is_no_prefix_says_why(prefix: str, problem: str):
    assert problem == prefix_problem(prefix)


@pytest.mark.parametrize(
    ("prefix", "normal"),
    [("S3://", "s3://"), ("S3://Lake/", "s3://Lake"), ("s3://lake/a", "s3://lake/a")],
)
def test_a_prefix_has_one_spelling(prefix: str, normal: str):
    assert normal == normal_prefix(prefix)


@pytest.mark.parametrize(
    ("endpoint", "allow_http", "allowed"),
    [
        (None, None, False),
        (None, True, True),
        ("https://minio", None, False),
        ("HTTP://minio", None, True),
        ("http://minio", True, True),
        ("https://minio", False, False),
    ],
)
def test_plain_http_is_allowed_where_it_is_written(
    endpoint: str | None, allow_http: bool | None, allowed: bool
):
    options = StorageOptions(endpoint_url=endpoint, allow_http=allow_http)

    assert allowed is options.is_http_allowed


def test_options_that_contradict_themselves_cannot_be_made():
    with pytest.raises(ValueError, match="endpoint_url is plain http, which allow_http forbids"):
        StorageOptions(endpoint_url="http://minio", allow_http=False)


def test_options_hold_no_credentials():
    with pytest.raises(ValueError, match="endpoint_url holds credentials") as caught:
        StorageOptions(endpoint_url="https://user:hunter2@minio")

    assert "hunter2" not in str(caught.value)


def test_an_addressing_style_is_one_of_two():
    with pytest.raises(ValueError, match="addressing_style must be path or virtual"):
        StorageOptions(addressing_style="auto")  # type: ignore[arg-type]  # the mistake to find


def test_options_pickle():
    options = StorageOptions(region="eu-west-1", addressing_style="path")

    assert options == pickle.loads(pickle.dumps(options))  # noqa: S301 - made in the line itself

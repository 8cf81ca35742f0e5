"""Which server an object is on, as the cache knows it; no request is made here."""

from __future__ import annotations

import pytest

from datacachalog.adapters.storage.registry import StorageSettings
from datacachalog.adapters.storage.s3 import S3Storage
from datacachalog.domain.errors import InvalidUriError
from datacachalog.domain.objects import ANY
from datacachalog.domain.storage_options import StorageOptions
from datacachalog.domain.uri import Uri

KEYS = {"AWS_ACCESS_KEY_ID": "AKIASECRET", "AWS_SECRET_ACCESS_KEY": "SECRET"}
OPTIONS = {
    "s3://": StorageOptions(endpoint_url="http://one:9000"),
    "s3://lake/raw": StorageOptions(endpoint_url="http://two:9000"),
}


def identities(options, environ, *paths):
    storage = S3Storage(StorageSettings(options, environ))
    return [storage.identity(Uri("s3", "lake", path)) for path in paths]


def test_an_object_of_aws_is_known_by_its_address():
    assert ["s3://lake/a"] == identities({}, {"AWS_REGION": "eu-west-1"}, "a")


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_where_buckets_have_names_of_their_own_the_partition_is_told(region, partition):
    assert [f"{partition} s3://lake/a"] == identities({}, {"AWS_REGION": region}, "a")


def test_servers_are_told_apart():
    [one, two] = identities(OPTIONS, {}, "a", "raw/a")

    assert ("http://one:9000" in one, "http://two:9000" in two) == (True, True)
    assert identities(OPTIONS, {}, "a") != identities({}, {}, "a")


def test_the_environments_server_is_told_too():
    environ = {"AWS_ENDPOINT_URL": "http://three:9000"}

    assert identities({}, {}, "a") != identities({}, environ, "a")


def test_an_identity_says_nothing_of_credentials():
    [found] = identities({}, KEYS | {"AWS_SESSION_TOKEN": "SECRET"}, "a")

    assert "SECRET" not in found


@pytest.mark.parametrize("path", ["/a", "a/", "a//b", ""])
@pytest.mark.parametrize("operation", ["stat", "download", "read", "versions", "upload"])
def test_a_key_that_not_every_client_keeps_is_refused(tmp_path, path, operation):
    storage, uri = S3Storage(StorageSettings({}, KEYS)), Uri("s3", "lake", path)
    (tmp_path / "mine").touch()
    act = {
        "stat": lambda: storage.stat(uri),
        "download": lambda: storage.download(uri, tmp_path / "dest"),
        "read": lambda: storage.read(uri, 0, 1),
        "versions": lambda: list(storage.versions(uri)),
        "upload": lambda: storage.upload(tmp_path / "mine", uri, expect=ANY),
    }[operation]

    with pytest.raises(InvalidUriError, match="empty segment"):
        act()

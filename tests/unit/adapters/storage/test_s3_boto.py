"""Whose credentials are used, how other servers are met, and which version is the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from datacachalog.adapters.storage.aws import connection
from datacachalog.adapters.storage.s3_boto import (
    BotoBucket,
    _give_up,
    _keep_order,
    _newest_first,
    _stay_here,
)
from datacachalog.domain.errors import StorageAccessError
from datacachalog.domain.storage_options import StorageOptions
from datacachalog.domain.uri import Uri
from datacachalog.testing.payloads import at_once

URI = Uri("s3", "lake", "a.csv")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA1234", "AWS_SECRET_ACCESS_KEY": "secret"}
LOCAL = StorageOptions(endpoint_url="http://127.0.0.1:9000")


@pytest.fixture
def bucket(nobodys_home, monkeypatch):
    """A bucket as it is reached with these options, variables and AWS files."""

    def bucket(options=LOCAL, credentials="", config="", **variables):
        (nobodys_home / ".aws").mkdir(exist_ok=True)
        (nobodys_home / ".aws" / "credentials").write_text(credentials)
        (nobodys_home / ".aws" / "config").write_text(config)
        environ = {
            "AWS_CONFIG_FILE": str(nobodys_home / ".aws" / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(nobodys_home / ".aws" / "credentials"),
            **variables,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return BotoBucket(connection(options, environ), "lake")

    return bucket


def keys_of(bucket):
    given = bucket.credentials(URI)()
    assert timedelta(0) < given["expires_at"] - datetime.now(UTC) < timedelta(hours=1)
    return given["access_key_id"], given["secret_access_key"], given["token"]


class TestCredentials:
    def test_those_of_the_environment_are_used(self, bucket):
        variables = {**KEYS, "AWS_SESSION_TOKEN": "token"}

        assert ("AKIA1234", "secret", "token") == keys_of(bucket(**variables))

    def test_those_of_a_profile_are_used(self, bucket):
        text = "[dev]\naws_access_key_id = a\naws_secret_access_key = b\n"

        found = keys_of(bucket(StorageOptions(profile="dev"), credentials=text, **KEYS))

        assert ("a", "b", None) == found

    def test_those_of_the_environments_profile_are_used(self, bucket):
        text = "[default]\naws_access_key_id = x\naws_secret_access_key = y\n[dev]\n"
        text += "aws_access_key_id = a\naws_secret_access_key = b\n"

        assert ("a", "b", None) == keys_of(bucket(credentials=text, AWS_PROFILE="dev"))

    def test_those_of_a_program_are_asked_for_again(self, bucket, tmp_path):
        """As a company's own login does it: `credential_process`."""
        answer = tmp_path / "answer.json"
        answer.write_text('{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b"}')

        assert ("a", "b", None) == keys_of(
            bucket(config=f"[default]\ncredential_process = cat {answer}\n")
        )

    def test_a_chain_without_credentials_is_told(self, bucket):
        with pytest.raises(StorageAccessError, match="there are no AWS credentials"):
            bucket().credentials(URI)

    def test_a_profile_that_is_not_there_is_told(self, bucket):
        with pytest.raises(StorageAccessError, match="dev"):
            bucket(StorageOptions(profile="dev")).credentials(URI)

    def test_a_program_that_fails_is_told(self, bucket):
        with pytest.raises(StorageAccessError):
            bucket(config="[default]\ncredential_process = false\n").credentials(URI)

    def test_half_a_key_is_told(self, bucket):
        with pytest.raises(StorageAccessError):
            bucket(AWS_ACCESS_KEY_ID="a").credentials(URI)


class TestClients:
    def test_threads_share_one(self, bucket):
        one = bucket(**KEYS)

        assert 1 == len({id(client) for client in at_once(4, lambda _: one.client)})

    @pytest.mark.parametrize(
        ("options", "addressing", "checksums", "signature"),
        [
            (StorageOptions(), "auto", "when_supported", "s3v4"),
            (LOCAL, "path", "when_required", "s3v4"),
            (
                StorageOptions(endpoint_url="https://minio.example", addressing_style="virtual"),
                "virtual",
                "when_required",
                "s3v4",
            ),
        ],
    )
    def test_other_servers_than_aws_are_spared_what_they_may_not_know(
        self, bucket, options, addressing, checksums, signature
    ):
        config = bucket(options, **KEYS).client.meta.config

        assert addressing == vars(config)["s3"]["addressing_style"]
        assert checksums == vars(config)["request_checksum_calculation"]
        assert signature == vars(config)["signature_version"]

    def test_nobody_signs_what_is_anonymous(self, bucket):
        client = bucket(StorageOptions(anonymous=True)).client

        assert "s3v4" != vars(client.meta.config)["signature_version"]
        assert not client._request_signer._credentials


class TestRetries:
    @pytest.mark.parametrize("kind", [ReadTimeoutError, ConnectTimeoutError])
    def test_a_silent_server_is_asked_once(self, kind):
        error = kind(endpoint_url="http://127.0.0.1:9000")

        with pytest.raises(kind):
            _give_up(caught_exception=error)

    def test_a_server_that_answers_is_asked_again(self):
        _give_up(caught_exception=None)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_an_error(self, status):
        class Answer:
            status_code = status

        class Operation:
            name = "GetObject"

        with pytest.raises(ClientError):
            _stay_here((Answer, {"Error": {"Code": "PermanentRedirect"}}), Operation)

    def test_another_answer_is_not(self):
        class Answer:
            status_code = 200

        _stay_here((Answer, {}), None)
        _stay_here(None, None)


NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
LISTING = b"""<ListVersionsResult>
 <Version><Key>a.csv</Key><VersionId>v3</VersionId></Version>
 <DeleteMarker><Key>a.csv</Key><VersionId>v2</VersionId></DeleteMarker>
 <Version><Key>a.csv</Key><VersionId>v1</VersionId></Version>
</ListVersionsResult>"""


def version(number, at=NOON, **changes):
    return {"VersionId": f"v{number}", "LastModified": at, "ETag": '"e"', "Size": 5, **changes}


def marker(number, at=NOON):
    return {"VersionId": f"v{number}", "LastModified": at}


class TestVersions:
    @pytest.fixture
    def order(self):
        """The order that a listing came in, as it is noted."""
        noted: dict[str, object] = {}
        _keep_order({"body": LISTING}, noted)
        return noted

    def test_the_order_of_a_listing_is_noted(self, order):
        assert {"VersionOrder": ["v3", "v2", "v1"]} == order

    def test_versions_of_one_second_keep_the_order_of_the_listing(self, order):
        """boto3 gives all versions, and then all markers."""
        found = _newest_first(URI, [version(1), version(3), marker(2)], order)

        assert ["v3", "v2", "v1"] == [info.version for info in found]
        assert [False, True, False] == [info.deleted for info in found]

    def test_later_ones_come_first_whatever_the_listing_says(self, order):
        later = NOON + timedelta(seconds=1)

        found = _newest_first(URI, [version(1, later), version(3), marker(2)], order)

        assert ["v1", "v3", "v2"] == [info.version for info in found]

    def test_without_an_order_times_alone_tell(self):
        later = NOON + timedelta(seconds=1)

        found = _newest_first(URI, [version(1), version(2, later)], {})

        assert ["v2", "v1"] == [info.version for info in found]

    def test_times_are_utc(self):
        here = NOON.astimezone(timezone(timedelta(hours=2)))

        [info] = _newest_first(URI, [version(1, here)], {})

        assert NOON == info.last_modified
        assert UTC is info.last_modified.tzinfo
        assert (URI, 5, '"e"', "v1") == (info.uri, info.size_bytes, info.etag, info.version)

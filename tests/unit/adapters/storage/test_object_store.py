"""What obstore raises becomes what the storage port promises, without addresses and dumps."""

from __future__ import annotations

from typing import Any

import obstore
import pytest
from obstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    InvalidPathError,
    NotModifiedError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import S3Store

from datacachalog.adapters.storage.object_store import _info
from datacachalog.adapters.storage.obstore_errors import (
    BeyondEndError,
    UnmodifiedError,
    translated,
)
from datacachalog.adapters.storage.s3_answers import normal_validators
from datacachalog.adapters.storage.transfer import ObjectChangedError, RangeIgnoredError
from datacachalog.domain.errors import (
    InvalidUriError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
    VersionNotFoundError,
)
from datacachalog.domain.uri import Uri

URI = Uri("s3", "lake", "a.csv")
HTTP = "Generic S3 error: Error performing GET http://minio.example:9000/lake/a.csv in 2ms"


def answered(status, code="", message=""):
    """An error as obstore makes one of a server's answer."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>" if code else ""
    return GenericError(
        f"{HTTP} - Server returned non-2xx status code: {status} Words: {body}\n\nDebug source:\n…"
    )


def error_of(error, version=None):
    with pytest.raises(Exception) as caught, translated(URI, version):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError(HTTP.replace("GET", "HEAD")), ObjectNotFoundError),
        (FileNotFoundError(HTTP), StorageUnavailableError),
        (FileNotFoundError("<Code>NoSuchKey</Code>"), ObjectNotFoundError),
        (FileNotFoundError("<Code>NoSuchBucket</Code>"), ObjectNotFoundError),
        (NotModifiedError(""), UnmodifiedError),
        (PreconditionError(""), ObjectChangedError),
        (AlreadyExistsError(""), ObjectChangedError),
        (PermissionDeniedError(HTTP), StorageAccessError),
        (UnauthenticatedError(HTTP), StorageAccessError),
        (InvalidPathError(""), InvalidUriError),
        (ValueError(""), InvalidUriError),
        (NotSupportedError(""), StorageAccessError),
        (UnknownConfigurationKeyError(""), StorageAccessError),
        (answered(404, "NoSuchKey"), ObjectNotFoundError),
        (answered(404), StorageUnavailableError),
        (answered(416), BeyondEndError),
        (answered(409), ObjectChangedError),
        (answered(400), StorageAccessError),
        (answered(403), StorageAccessError),
        (answered(408), StorageUnavailableError),
        (answered(429), StorageUnavailableError),
        (answered(500), StorageUnavailableError),
        (answered(503, "SlowDown"), StorageUnavailableError),
        (GenericError("Received non-partial response when range requested"), RangeIgnoredError),
        (GenericError("… incorrectly configured region …"), StorageAccessError),
        (GenericError("anything else"), StorageUnavailableError),
    ],
)
def test_an_error_of_obstore_becomes_one_of_the_port(error, kind):
    found = error_of(error)

    assert kind is type(found)
    assert error is found.__cause__
    assert "minio.example" not in str(found)


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(""), answered(404, "NoSuchVersion"), *map(answered, (400, 405))],
)
def test_a_version_that_is_not_there_is_told_apart(error):
    assert VersionNotFoundError is type(error_of(error, "v1"))


def test_a_missing_bucket_is_told_apart():
    assert "no bucket 'lake'" == error_of(answered(404, "NoSuchBucket"), "v1").detail


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (answered(403, "AccessDenied", "not for you"), "AccessDenied: not for you"),
        (answered(403, "AccessDenied"), "AccessDenied"),
        (answered(403), "the server answered 403"),
        (answered(500), "the server answered 500"),
        (GenericError(f"{HTTP}: dns error: failed to lookup"), "its name cannot be resolved"),
        (GenericError(f"{HTTP}: Connection refused (os error 111)"), "the connection was refused"),
        (GenericError(f"{HTTP}: operation timed out"), "it did not answer in time"),
        (
            GenericError(f"{HTTP}: InvalidCertificate(\n UnknownIssuer,"),
            "its certificate is not trusted; AWS_CA_BUNDLE or SSL_CERT_FILE may name whom to trust",
        ),
        (GenericError(f"{HTTP}: broken pipe"), "the connection failed"),
    ],
)
def test_what_went_wrong_is_told_in_few_words(error, detail):
    assert detail == error_of(error).detail


def test_a_token_that_a_server_repeats_is_in_no_error():
    error = answered(400, "InvalidToken", "malformed")
    error.args = (f"{error.args[0]} <Token-0>SECRET</Token-0>",)

    found = error_of(error)

    assert "SECRET" not in f"{found} {found.__cause__} {found.__cause__!r}"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (('"e"', "v1"), ('"e"', "v1")),
        (("e", None), ('"e"', None)),
        (('W/"e"', "null"), ('W/"e"', None)),
        (("", ""), (None, None)),
        (('""', None), (None, None)),
        (('W/""', None), (None, None)),
        ((None, None), (None, None)),
    ],
)
def test_validators_are_spelt_in_one_way(told, expected):
    assert expected == normal_validators(*told)


def described(version) -> Any:
    """What obstore says of an object, of which version it is among the rest."""
    known = {"path": "a.csv", "last_modified": None, "size": 5, "e_tag": '"e"'}
    return {**known, "version": version}


@pytest.mark.parametrize(
    ("told", "asked", "expected"),
    [("v1", "v1", "v1"), ("v1", None, "v1"), ("null", "null", None), (None, "null", None)],
)
def test_a_version_is_the_one_that_was_asked_for(told, asked, expected):
    assert expected == _info(URI, described(told), asked).version


@pytest.mark.parametrize("told", [None, "null", "v2"])
def test_a_store_that_sends_another_version_is_not_believed(told):
    with pytest.raises(VersionNotFoundError):
        _info(URI, described(told), "v1")


def test_a_panic_is_an_error_that_can_be_caught():
    """Rust's end of a program comes as what no `except Exception` sees."""
    store = S3Store(
        "my bucket",
        endpoint="http://127.0.0.1:1",
        access_key_id="a",
        secret_access_key="b",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )

    with pytest.raises(InvalidUriError), translated(URI):
        obstore.get(store, "k")

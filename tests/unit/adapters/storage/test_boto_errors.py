"""What boto3 raises becomes what the storage port promises, and says no address."""

from __future__ import annotations

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSLError,
    TokenRetrievalError,
)

from datacachalog.adapters.storage.boto_errors import may_be_done, translated
from datacachalog.domain.errors import (
    ConflictError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
)
from datacachalog.domain.uri import Uri

URI = Uri("s3", "lake", "a.csv")
ADDRESS = "http://user:password@minio.example:9000/lake/a.csv"


def answer(code, status, operation="GetObject", message=""):
    """An error as boto3 makes one of a server's answer."""
    error = {"Code": code, "Message": message}
    return ClientError(
        {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # no more is read
        operation,
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answer("NoSuchBucket", 404), ObjectNotFoundError),
        (answer("NoSuchKey", 404), ObjectNotFoundError),
        (answer("404", 404, "HeadObject"), ObjectNotFoundError),
        (answer("404", 404), StorageUnavailableError),
        (answer("", 404), StorageUnavailableError),
        (answer("PreconditionFailed", 412), ConflictError),
        (answer("ConditionalRequestConflict", 409), ConflictError),
        (answer("Other", 412), ConflictError),
        (answer("NoSuchKey", 404, "CompleteMultipartUpload"), ConflictError),
        (answer("NoSuchUpload", 404, "CompleteMultipartUpload"), ConflictError),
        (answer("NoSuchUpload", 404, "UploadPart"), ObjectNotFoundError),
        (answer("AccessDenied", 403), StorageAccessError),
        (answer("InvalidAccessKeyId", 403), StorageAccessError),
        (answer("ExpiredToken", 400), StorageAccessError),
        (answer("PermanentRedirect", 301), StorageUnavailableError),
        (answer("SlowDown", 503), StorageUnavailableError),
        (answer("InternalError", 500), StorageUnavailableError),
        (answer("TooManyRequests", 429), StorageUnavailableError),
        (answer("RequestTimeout", 408), StorageUnavailableError),
        (ClientError({}, "GetObject"), StorageUnavailableError),
        (NoCredentialsError(), StorageAccessError),
        (PartialCredentialsError(provider="env", cred_var="key"), StorageAccessError),
        (ProfileNotFound(profile="dev"), StorageAccessError),
        (TokenRetrievalError(provider="sso", error_msg="expired"), StorageAccessError),
        (EndpointConnectionError(endpoint_url=ADDRESS), StorageUnavailableError),
        (ReadTimeoutError(endpoint_url=ADDRESS), StorageUnavailableError),
        (ParamValidationError(report="odd"), StorageUnavailableError),
        (S3UploadFailedError("failed"), StorageUnavailableError),
        (KeyError("UploadId"), StorageUnavailableError),
    ],
    ids=lambda each: str(each)[:60] if isinstance(each, Exception) else None,
)
def test_an_error_of_boto3_becomes_one_of_the_port(error, kind):
    with pytest.raises(kind) as caught, translated(URI):
        raise error

    assert kind is type(caught.value)
    assert error is caught.value.__cause__
    assert "minio.example" not in str(caught.value)


def test_a_missing_bucket_is_told_apart_from_a_missing_object():
    with pytest.raises(ObjectNotFoundError) as caught, translated(URI):
        raise answer("NoSuchBucket", 404)

    assert "there is no object at 's3://lake/a.csv' (no bucket 'lake')" == str(caught.value)


def test_a_server_is_quoted():
    with pytest.raises(StorageAccessError) as caught, translated(URI):
        raise answer("AccessDenied", 403, message="not for you")

    assert "AccessDenied: not for you" == caught.value.detail


def test_a_bug_is_not_translated():
    with pytest.raises(ZeroDivisionError), translated(URI):
        raise ZeroDivisionError


def _repeated(error: ClientError, times: int) -> ClientError:
    error.response["ResponseMetadata"]["RetryAttempts"] = times
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_repeated(answer("PreconditionFailed", 412, "PutObject"), 0), False),
        (_repeated(answer("PreconditionFailed", 412, "PutObject"), 1), True),
        (_repeated(answer("SlowDown", 503, "PutObject"), 0), False),
        (_repeated(answer("SlowDown", 503, "PutObject"), 2), True),
        (ConnectionClosedError(endpoint_url=ADDRESS), True),
        (ReadTimeoutError(endpoint_url=ADDRESS), True),
        (
            EndpointConnectionError(endpoint_url=ADDRESS),
            True,
        ),  # by now: it was sent before, perhaps
        (SSLError(endpoint_url=ADDRESS, error=OSError("CERTIFICATE_VERIFY_FAILED")), False),
    ],
)
def test_a_write_that_failed_may_be_done(error, expected):
    with pytest.raises((ConflictError, StorageUnavailableError)) as caught, translated(URI):
        raise error

    failure = caught.value
    assert isinstance(failure, ConflictError | StorageUnavailableError)
    assert expected is may_be_done(failure)

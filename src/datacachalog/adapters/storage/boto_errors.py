"""boto3's errors in our words."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    SSOError,
    TokenRetrievalError,
)

from datacachalog.adapters.storage.s3_answers import (
    ANOTHER_HOST,
    EXPIRED,
    NO_AUTHORITY,
    NO_S3_ANSWER,
    NO_TLS,
    NO_TRUST,
)
from datacachalog.domain.errors import (
    ConflictError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacachalog.domain.errors import DatacachalogError
    from datacachalog.domain.uri import Uri

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
# AWS's answer to an If-Match where there is no object; and to an upload that is completed already,
# because the first answer was lost.
_NOTHING_TO_REPLACE = {"NoSuchKey", "NoSuchUpload"}
_TLS_CAUSES = (  # what Python and OpenSSL say
    ("certificate has expired", EXPIRED),
    ("doesn't match", ANOTHER_HOST),
    ("CERTIFICATE_VERIFY_FAILED", NO_TRUST),
    ("NO_CERTIFICATE_OR_CRL_FOUND", NO_AUTHORITY),
    ("[Errno ", NO_AUTHORITY),  # its file cannot be read
    ("WRONG_VERSION_NUMBER", NO_TLS),
    ("RECORD_LAYER_FAILURE", NO_TLS),  # OpenSSL 3.2
)
_WRITES = {"CompleteMultipartUpload", "PutObject"}


@contextmanager
def translated(uri: Uri) -> Iterator[None]:
    """Turns boto3's errors into the storage port's."""
    try:
        yield
    except ClientError as error:
        told: dict[str, Any] = cast("dict[str, Any]", error.response.get("Error", {}))
        for name in told.keys() - {"Code", "Message"}:
            del told[name]  # AWS repeats a token there that it refuses
        raise _from_answer(uri, error) from error
    except _NO_CREDENTIALS as error:
        raise StorageAccessError(str(uri), str(error)) from error
    except KeyError as error:  # boto3 gives what was answered, and nothing in place of the rest
        raise StorageUnavailableError(str(uri), f"there is no {error} in its answer") from error
    except SSLError as error:
        raise StorageUnavailableError(str(uri), _of_tls(error)) from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageUnavailableError(str(uri), _brief(error)) from error


def _from_answer(uri: Uri, error: ClientError) -> DatacachalogError:
    answer = error.response.get("Error", {})
    code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        return ObjectNotFoundError(str(uri), f"no bucket {uri.authority!r}")
    if is_refusal(error):
        return ConflictError(str(uri), "as expected")
    if error.operation_name in _WRITES and code in _NOTHING_TO_REPLACE:
        return ConflictError(str(uri), "as expected", "absent")
    if 300 <= status < 400:
        return StorageUnavailableError(str(uri), "it redirects to another address: name that one")
    if status in {400, 404} and code in {"", str(status)} and error.operation_name != "HeadObject":
        return StorageUnavailableError(str(uri), NO_S3_ANSWER)  # S3 says what is wrong
    if status == 404:
        return ObjectNotFoundError(str(uri), code)
    if 400 <= status < 500 and status not in {408, 425, 429}:
        return StorageAccessError(str(uri), f"{code}: {message}" if message else code)
    return StorageUnavailableError(str(uri), f"{code}: {message}" if message else code)


def is_refusal(error: ClientError) -> bool:
    """Whether it is the answer to a write whose condition did not hold, or that lost a race."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in {409, 412}


def may_be_done(error: ConflictError | StorageUnavailableError) -> bool:
    """Whether a write that failed so may have happened, as an answer to it may be lost.

    Nothing came, the last time at least; or a request that was sent before was answered with a
    failure, or a refusal: it may have met its own work.
    """
    answer = error.__cause__
    if isinstance(answer, ClientError):
        return answer.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
    return isinstance(answer, HTTPClientError | EndpointConnectionError)


def _of_tls(error: SSLError) -> str:
    text = str(error)
    return next((cause for sign, cause in _TLS_CAUSES if sign in text), _brief(error))


def _brief(error: Exception) -> str:
    """The first line of a message, without the address that botocore puts into it."""
    return re.sub(r'"?https?://[^\s"]*"?', "the endpoint", str(error)).split("\n", 1)[0]

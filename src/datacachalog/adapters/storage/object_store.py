"""The objects of one bucket through obstore, its answers and errors in our words."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    InvalidPathError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from datacachalog.adapters.storage.transfer import (
    AnswerError,
    ObjectChangedError,
    RangeIgnoredError,
)
from datacachalog.domain.errors import (
    InvalidUriError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
    VersionNotFoundError,
)
from datacachalog.domain.objects import NOT_MODIFIED, ObjectInfo
from datacachalog.domain.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config
    from typing_extensions import Buffer

    from datacachalog.adapters.storage.aws import Connection
    from datacachalog.adapters.storage.transfer import Part
    from datacachalog.domain.errors import StorageError
    from datacachalog.domain.objects import NotModified, Revision

# obstore's own 30 s for a whole request would cut slow parts off; a connection that is silent for
# 30 s is dead, one that drips is not.
_CLIENT: ClientConfig = {
    "timeout": "24h",
    "read_timeout": "30s",
    "connect_timeout": "5s",
    "pool_max_idle_per_host": "64",
}
# What may pass is tried again in here, where a cut body is taken up at the byte it reached.
# Together with the retrying decorator, a server that is not there is given up after some 15 s.
_RETRIES: RetryConfig = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=12),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3)},
}
# obstore takes up a lost stream where the entity tags are equal, weak ones too, whose equality
# promises nothing (seen with 0.12.1: half of the one, half of the other revision).
_NO_RETRIES: RetryConfig = {"max_retries": 0}
_STREAM_BLOCK_BYTES = 4 << 20
_OBSTORE_ERRORS = (FileNotFoundError, ValueError, BaseError)
_STATUS = re.compile(r"status code: (\d{3})")
_ANSWER = re.compile(r"(status code: \d{3}[^:\n]*).*", re.DOTALL)
# What nginx, Go and Apache say to plain HTTP at a port for TLS.
_WANTS_TLS = re.compile(r"HTTP request.{0,10} to (an )?HTTPS|plain HTTP to an SSL", re.IGNORECASE)
_S3_ERROR = re.compile(r"<Code>(\w+)</Code>(?:\s*<Message>([^<]*)</Message>)?")

NO_S3_ANSWER = (
    "its answer is not one of an S3 server; look at the endpoint, and for a proxy or a login page"
)
NO_TLS = "it does not speak TLS; does its address begin with http://?"
NO_TRUST = "its certificate is not trusted"
_ONLY_TLS = "it does not speak plain HTTP; does its address begin with https://?"
_TOO_LATE = "it did not answer in time"
_CAUSES = (  # what obstore's text has in it, in small letters
    ("dns error", "its name cannot be resolved"),
    ("failed to lookup", "its name cannot be resolved"),
    ("connection refused", "the connection was refused"),
    ("timed out", _TOO_LATE),
    ("kind: timeout", _TOO_LATE),
    ("timedout", _TOO_LATE),
    ("invalidcontenttype", NO_TLS),
    ("invalid http version", _ONLY_TLS),
    ("certificate", NO_TRUST),
    ("invalid list response", NO_S3_ANSWER),
)


Written: TypeAlias = tuple[str | None, str | None]
"""The entity tag and the version id that the answer to an upload gave to what it made."""


class _Runtime:
    """Which process obstore's threads belong to: they begin with the first store."""

    process: ClassVar[int | None] = None


def survives_here() -> bool:
    """Whether obstore works in this process: in a fork of one that used it, every call hangs."""
    return _Runtime.process in {None, os.getpid()}


class ObjectStore:
    """What can be done with a bucket's objects. Every method raises the storage port's errors."""

    def __init__(self, connection: Connection, uri: Uri, credentials: Any | None) -> None:
        self._bucket = uri.authority
        _Runtime.process = os.getpid()
        self._make_store = partial(_store, connection, uri.authority, credentials)
        with _translated(uri):
            self._store = self._make_store(_RETRIES)

    def stat(self, uri: Uri, version: str | None) -> ObjectInfo:
        """The info of the current object, or of one version."""
        with _translated(uri, version):
            result = obstore.get(self._store, uri.path, options=_options(version, {"head": True}))
        return _described(uri, result, version)

    def source(self, uri: Uri, version: str | None) -> Source:
        """The object as the transfer engine reads it."""
        return Source(self._store, partial(self._make_store, _NO_RETRIES), uri, version)

    def read(self, uri: Uri, start: int, end: int, version: str | None) -> bytes:
        """Some bytes of the object."""
        if start >= end:
            return b""
        try:
            with _translated(uri, version):
                options = _options(version, {"range": (start, end)})
                result = obstore.get(self._store, uri.path, options=options)
                _described(uri, result, version)
                return bytes(result.bytes())
        except _BeyondEndError:
            return b""

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        """Every object below a prefix, which is a string: obstore's is a folder."""
        folder = prefix.path.rpartition("/")[0]
        with _translated(prefix):
            for metas in obstore.list(self._store, prefix=folder or None):
                for meta in metas:
                    if meta["path"].startswith(prefix.path):
                        yield _info(Uri("s3", self._bucket, meta["path"]), meta)

    def is_folder(self, uri: Uri) -> bool:
        """Whether there are objects below `uri`; ObjectNotFoundError if there is no bucket."""
        with _translated(uri):
            listing = obstore.list(self._store, prefix=uri.path, chunk_size=1)
            return next(iter(listing), None) is not None


@dataclass(frozen=True, slots=True)
class ObstorePart:
    """One answer to a GET."""

    info: ObjectInfo
    start: int
    end: int
    result: GetResult

    def body(self) -> Buffer:
        """All bytes of the answer, not copied again. They are read from the network here."""
        with _translated(self.info.uri):
            return self.result.bytes()


@dataclass(frozen=True, slots=True)
class Source:
    """A `PartSource` of one object, or of one version of it."""

    store: S3Store
    make_streaming: Callable[[], S3Store]
    uri: Uri
    version: str | None

    def first(self, size_bytes: int, unless: Revision | None) -> Part | NotModified:
        """See `PartSource`."""
        options = _options(self.version, {"range": (0, size_bytes)})
        if unless is not None and unless.etag is not None:
            options["if_none_match"] = unless.etag
        try:
            try:
                return self._get(options)
            except _BeyondEndError:  # an empty object has no first byte
                del options["range"]
                return self._get(options)
        except _UnmodifiedError:
            if unless is None:
                raise
            return NOT_MODIFIED

    def part(self, start: int, end: int, of: ObjectInfo) -> Part:
        """See `PartSource`."""
        # Not by the version that the first part was of: If-Match names it as well, and a version id
        # takes another permission (s3:GetObjectVersion), which readers need not have.
        options = _options(self.version, {"range": (start, end), "if_match": of.etag})
        try:
            return self._get(options)
        except (_BeyondEndError, RangeIgnoredError, ObjectNotFoundError) as error:
            raise ObjectChangedError from error

    def whole(self) -> tuple[ObjectInfo, Iterator[Buffer]]:
        """See `PartSource`."""
        with _translated(self.uri, self.version):
            store = self.make_streaming()
            result = obstore.get(store, self.uri.path, options=_options(self.version, {}))
        return _described(self.uri, result, self.version), self._blocks(result)

    def _blocks(self, result: GetResult) -> Iterator[Buffer]:
        with _translated(self.uri, self.version):
            yield from result.stream(min_chunk_size=_STREAM_BLOCK_BYTES)

    def _get(self, options: GetOptions) -> Part:
        try:
            result = obstore.get(self.store, self.uri.path, options=options)
        except NotModifiedError as error:  # the usual answer, before the costly translation
            raise _UnmodifiedError from error
        except _OBSTORE_ERRORS as error:
            raise _translation(self.uri, self.version, error) from _without_answer(error)
        start, end = result.range
        return ObstorePart(_described(self.uri, result, self.version), start, end, result)


class _UnmodifiedError(AnswerError):
    """304."""


class _BeyondEndError(AnswerError):
    """416."""


def _store(
    connection: Connection, bucket: str, credentials: Any | None, retries: RetryConfig
) -> S3Store:
    config: S3Config = {
        "region": connection.region,
        "virtual_hosted_style_request": connection.virtual_hosts,
        "skip_signature": connection.anonymous,
        "conditional_put": "etag",  # whatever the environment says
    }
    # Always spelt out, so that obstore does not read one of its own in the environment.
    endpoint = (connection.endpoint or _aws_endpoint(connection.region)).rstrip("/")
    if connection.virtual_hosts:
        parts = urlsplit(endpoint)
        endpoint = f"{parts.scheme}://{bucket}.{parts.netloc}{parts.path}"
    config["endpoint"] = config["aws_endpoint_url_s3"] = endpoint
    if connection.keys is not None:
        config["access_key_id"] = connection.keys.access_key_id
        config["secret_access_key"] = connection.keys.secret_access_key
        if connection.keys.session_token:
            config["session_token"] = connection.keys.session_token
    return S3Store(
        bucket,
        config=config,
        client_options={**_CLIENT, "allow_http": connection.allow_http},
        retry_config=retries,
        credential_provider=credentials,
    )


def _aws_endpoint(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _options(version: str | None, options: GetOptions) -> GetOptions:
    """The options with a version id, if there is one: obstore takes none for an error."""
    return options if version is None else {**options, "version": version}


def _info(uri: Uri, meta: ObjectMeta, asked: str | None = None) -> ObjectInfo:
    etag, version = normal_validators(meta["e_tag"], meta["version"])
    if asked not in {None, "null", version}:
        # A bucket without versions may ignore the id, and send what it has.
        raise VersionNotFoundError(str(uri), repr(asked))
    return ObjectInfo(uri, meta["size"], etag, version, meta["last_modified"])


def _described(uri: Uri, result: GetResult, asked: str | None) -> ObjectInfo:
    info = _info(uri, result.meta, asked)
    if info.etag is None:
        refuse_page(uri, result.attributes.get("Content-Type"))
    return info


def refuse_page(uri: Uri, content_type: str | None) -> None:
    """Raises StorageUnavailableError if what has no entity tag is a web page.

    Objects of S3 have entity tags; a few servers leave them out, and are served. But the page that
    a proxy or a hotel's network sends in place of any object has none either.
    """
    if (content_type or "").lower().startswith("text/html"):
        raise StorageUnavailableError(str(uri), NO_S3_ANSWER)


def normal_validators(etag: str | None, version: str | None) -> Written:
    """An entity tag with its quotes, if there is something in it, and the id of a real version."""
    if etag in {"", '""', 'W/""'}:
        etag = None  # it says nothing
    if etag is not None and not etag.endswith('"'):
        etag = f'"{etag}"'  # some servers and listings leave them out
    return etag, None if version in {"", "null"} else version


@contextmanager
def _translated(uri: Uri, version: str | None = None) -> Iterator[None]:
    """Turns obstore's errors into the storage port's, or into the few that callers here handle."""
    try:
        yield
    except _OBSTORE_ERRORS as error:
        raise _translation(uri, version, error) from _without_answer(error)


def _translation(uri: Uri, version: str | None, error: Exception) -> Exception:
    match error:
        case FileNotFoundError():
            return _not_found(uri, version, str(error))
        case NotModifiedError():
            return _UnmodifiedError()
        case PreconditionError() | AlreadyExistsError():
            return ObjectChangedError()
        case PermissionDeniedError() | UnauthenticatedError():
            return StorageAccessError(str(uri), _detail(str(error)))
        case InvalidPathError() | ValueError():
            return InvalidUriError(str(uri), "is no key that can be asked for")
        case GenericError() if _WANTS_TLS.search(str(error)):
            return StorageUnavailableError(str(uri), _ONLY_TLS)
        case _:
            return _generic(uri, version, error)


def _without_answer(error: Exception) -> Exception:
    """The error less the server's answer in its text: AWS repeats a token there that it refuses."""
    error.args = (_ANSWER.sub(r"\1", str(error)),)
    return error


def _not_found(uri: Uri, version: str | None, text: str) -> StorageError:
    code = _code(text)
    if code is None and "performing GET http" in text:  # S3 says why, but to HEAD
        return StorageUnavailableError(str(uri), NO_S3_ANSWER)
    if code == "NoSuchBucket":
        return ObjectNotFoundError(str(uri), f"no bucket {uri.authority!r}")
    if version is not None:
        return VersionNotFoundError(str(uri), repr(version))
    return ObjectNotFoundError(str(uri))


def _generic(uri: Uri, version: str | None, error: Exception) -> Exception:
    text = str(error)
    match = _STATUS.search(text)
    status = match[1] if match else None
    if status == "404":
        return _not_found(uri, version, text)
    if status == "416":
        return _BeyondEndError()
    if "non-partial response" in text:
        return RangeIgnoredError()
    if status == "409":
        return ObjectChangedError()
    if status in {"400", "405"} and version is not None:
        # No id of theirs, or the id of a delete marker, which has no bytes.
        return VersionNotFoundError(str(uri), repr(version))
    if "incorrectly configured region" in text:
        return StorageAccessError(str(uri), "the bucket is in another region; set 'region'")
    if status is not None and status.startswith("4") and status not in {"408", "425", "429"}:
        return StorageAccessError(str(uri), _detail(text))
    if not isinstance(error, GenericError):
        return StorageAccessError(str(uri), type(error).__name__)
    return StorageUnavailableError(str(uri), _detail(text))


def _code(text: str) -> str | None:
    match = _S3_ERROR.search(text)
    return match[1] if match else None


def _detail(text: str) -> str:
    """What an answer says went wrong, without the addresses and dumps that obstore adds."""
    if match := _S3_ERROR.search(text):
        return f"{match[1]}: {match[2].strip()}" if match[2] else match[1]
    if match := _STATUS.search(text):
        return f"the server answered {match[1]}"
    lowered = text.lower()
    return next((cause for sign, cause in _CAUSES if sign in lowered), "the connection failed")

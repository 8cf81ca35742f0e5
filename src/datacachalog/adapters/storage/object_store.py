"""The objects of one bucket through obstore, its answers and errors in our words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import obstore
from obstore.store import S3Store

from datacachalog.adapters.storage.aws import StaticKeys
from datacachalog.adapters.storage.comparing import stored_sum
from datacachalog.adapters.storage.forks import loaded
from datacachalog.adapters.storage.obstore_errors import (
    BeyondEndError,
    UnmodifiedError,
    translated,
)
from datacachalog.adapters.storage.s3_answers import (
    normal_validators,
    refuse_another_range,
    refuse_page,
)
from datacachalog.adapters.storage.transfer import (
    ObjectChangedError,
    RangeIgnoredError,
)
from datacachalog.domain.errors import (
    ObjectNotFoundError,
    StorageError,
    VersionNotFoundError,
)
from datacachalog.domain.objects import NOT_MODIFIED, ObjectInfo
from datacachalog.domain.uri import Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config
    from typing_extensions import Buffer

    from datacachalog.adapters.storage.aws import Connection
    from datacachalog.adapters.storage.stored_sums import StoredSum
    from datacachalog.adapters.storage.transfer import Part
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


class _Runtime:
    """Which process obstore's threads belong to: they begin with the first store."""

    process: ClassVar[int | None] = None


def survives_here() -> bool:
    """Whether obstore works in this process: in a fork of one that used it, every call hangs."""
    return _Runtime.process in {None, os.getpid()}


class ObjectStore:
    """What can be done with a bucket's objects. Every method raises the storage port's errors."""

    def __init__(self, connection: Connection, uri: Uri, credentials: Any | None) -> None:
        self._bucket, self._connection, self._credentials = uri.authority, connection, credentials
        _Runtime.process = os.getpid()
        self._make_store = partial(_store, connection, uri.authority, credentials)
        with translated(uri):
            self._store = self._make_store(_RETRIES)

    def stat(self, uri: Uri, version: str | None) -> ObjectInfo:
        """The info of the current object, or of one version."""
        with translated(uri, version):
            result = obstore.get(self._store, uri.path, options=_options(version, {"head": True}))
        return _described(uri, result, version)

    def source(self, uri: Uri, version: str | None) -> Source:
        """The object as the transfer engine reads it."""
        streaming = partial(self._make_store, _NO_RETRIES)
        return Source(self._store, streaming, uri, version, self._described_to_others)

    def _described_to_others(
        self, uri: Uri, version: str | None, etag: str
    ) -> Mapping[str, str] | None:
        """The headers that the store describes a revision with, checksum and all."""
        try:
            keys = self._keys()
        except StorageError:  # what is wrong with the credentials, the parts tell
            return None
        module = loaded("signed_head")
        asked = module.Asked(self._connection.url(self._bucket), uri.path, version, etag)
        used = self._connection
        answer = module.head(asked, used.region, keys, used.ca_bundle)
        return cast("Mapping[str, str] | None", answer)

    def _keys(self) -> StaticKeys | None:
        if self._credentials is None:
            return self._connection.keys
        found = self._credentials()
        return StaticKeys(found["access_key_id"], found["secret_access_key"], found["token"])

    def read(self, uri: Uri, start: int, end: int, version: str | None) -> bytes:
        """Some bytes of the object."""
        if start >= end:
            return b""
        try:
            with translated(uri, version):
                options = _options(version, {"range": (start, end)})
                result = obstore.get(self._store, uri.path, options=options)
                info = _described(uri, result, version)
                data = bytes(result.bytes())
        except BeyondEndError:
            return b""
        refuse_another_range(uri, (start, end), info.size_bytes, result.range, len(data))
        return data

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        """Every object below a prefix, which is a string: obstore's is a folder."""
        folder = prefix.path.rpartition("/")[0]
        with translated(prefix):
            for metas in obstore.list(self._store, prefix=folder or None):
                for meta in metas:
                    if meta["path"].startswith(prefix.path):
                        yield _info(Uri("s3", self._bucket, meta["path"]), meta)

    def is_folder(self, uri: Uri) -> bool:
        """Whether there are objects below `uri`; ObjectNotFoundError if there is no bucket."""
        with translated(uri):
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
        with translated(self.info.uri):
            return self.result.bytes()


@dataclass(frozen=True, slots=True)
class Source:
    """A `PartSource` of one object, or of one version of it."""

    store: S3Store
    make_streaming: Callable[[], S3Store]
    uri: Uri
    version: str | None
    describe: Callable[[Uri, str | None, str], Mapping[str, str] | None]

    def first(self, size_bytes: int, unless: Revision | None) -> Part | NotModified:
        """See `PartSource`."""
        options = _options(self.version, {"range": (0, size_bytes)})
        if unless is not None and unless.etag is not None:
            options["if_none_match"] = unless.etag
        try:
            try:
                return self._get(options)
            except BeyondEndError:  # an empty object has no first byte
                del options["range"]
                return self._get(options)
        except UnmodifiedError:
            if unless is None:
                raise
            return NOT_MODIFIED

    def part(self, start: int, end: int, of: Revision) -> Part:
        """See `PartSource`."""
        # Not by the version that the first part was of: If-Match names it as well, and a version id
        # takes another permission (s3:GetObjectVersion), which readers need not have.
        options = _options(self.version, {"range": (start, end), "if_match": of.etag})
        try:
            return self._get(options)
        except (BeyondEndError, RangeIgnoredError, ObjectNotFoundError) as error:
            raise ObjectChangedError from error

    def stored_sum(self, of: Revision) -> StoredSum | None:
        """See `PartSource`."""
        answer = self.describe(self.uri, self.version, of.etag or "")
        return None if answer is None else stored_sum(answer, of)

    def whole(self) -> tuple[ObjectInfo, Iterator[Buffer]]:
        """See `PartSource`."""
        with translated(self.uri, self.version):
            store = self.make_streaming()
            result = obstore.get(store, self.uri.path, options=_options(self.version, {}))
        return _described(self.uri, result, self.version), self._blocks(result)

    def _blocks(self, result: GetResult) -> Iterator[Buffer]:
        with translated(self.uri, self.version):
            yield from result.stream(min_chunk_size=_STREAM_BLOCK_BYTES)

    def _get(self, options: GetOptions) -> Part:
        with translated(self.uri, self.version):
            result = obstore.get(self.store, self.uri.path, options=options)
        start, end = result.range
        return ObstorePart(_described(self.uri, result, self.version), start, end, result)


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
    config["endpoint"] = config["aws_endpoint_url_s3"] = connection.service(bucket)
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

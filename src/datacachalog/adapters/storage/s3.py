"""Objects in S3 and in servers that speak its API.

The data plane is obstore. boto3, which takes 0.2 s to import, joins in for what only it can do:
the credential chain, versions, uploads in parts that complete on a condition, and everything in a
process that was forked from one that used obstore, or where only boto3 knows whom to trust.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from datacachalog.adapters.disk import cache_errors
from datacachalog.adapters.journal import discard
from datacachalog.adapters.storage.aws import connection
from datacachalog.adapters.storage.forks import loaded
from datacachalog.adapters.storage.object_store import ObjectStore, survives_here
from datacachalog.adapters.storage.retrying import RetryingStorage, retried
from datacachalog.adapters.storage.s3_answers import normal_validators, refuse_another_range
from datacachalog.adapters.storage.transfer import AnswerError, ObjectChangedError, transfer
from datacachalog.adapters.storage.verdicts import Verdicts
from datacachalog.domain.errors import (
    ConflictError,
    InvalidUriError,
    NotAnObjectError,
    ObjectNotFoundError,
    RemoteChangedError,
    StorageAccessError,
    StorageError,
    StorageUnavailableError,
    UnsupportedOperationError,
)
from datacachalog.domain.objects import ABSENT, ANY, ObjectInfo, Revision
from datacachalog.domain.storage_options import options_for
from datacachalog.ports import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacachalog.adapters.storage.aws import Connection
    from datacachalog.adapters.storage.boto_objects import BotoObjects
    from datacachalog.adapters.storage.registry import StorageSettings
    from datacachalog.adapters.storage.s3_answers import Written
    from datacachalog.adapters.storage.s3_boto import BotoBucket
    from datacachalog.domain.objects import Expected, NotModified
    from datacachalog.domain.storage_options import StorageOptions
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import StoragePort, TransferProgress

# Up to here an upload is one request.
SINGLE_UPLOAD_BYTES = 16 << 20


class S3Storage:
    """Every bucket that the settings can reach."""

    def __init__(self, settings: StorageSettings) -> None:
        self._settings, self._verdicts = settings, Verdicts(settings.verdicts)
        self._connections: dict[StorageOptions, Connection] = {}
        self._buckets: dict[tuple[int, Connection, str], _Bucket] = {}
        self._bucket_of: dict[Uri, tuple[int, _Bucket]] = {}
        self._locks: dict[int, threading.Lock] = {}

    def identity(self, uri: Uri) -> str:
        connection = self._connection(uri)
        world = connection.endpoint or connection.partition
        return str(uri) if world is None else f"{world} {uri}"

    def _connection(self, uri: Uri) -> Connection:
        options = options_for(uri, self._settings.options)
        known = self._connections.get(options)
        if known is None:
            known = connection(options, self._settings.environ)
            self._connections[options] = known
        return known

    def _bucket_with(self, uri: Uri) -> _Bucket:
        """The bucket of an object whose key every client takes for the same one.

        obstore drops slashes at the ends of a key, so that `/a` and `a/` would be `a`.
        """
        if "" in uri.path.split("/"):
            raise InvalidUriError(str(uri), "has an empty segment, which not every client keeps")
        return self._bucket(uri)

    def _bucket(self, uri: Uri) -> _Bucket:
        # By process: neither obstore's threads nor boto3's sockets survive a fork.
        process = os.getpid()
        known = self._bucket_of.get(uri)
        if known is not None and known[0] == process:
            return known[1]
        key = (process, self._connection(uri), uri.authority)
        # The lock too: another thread may have held it at the moment of the fork.
        with self._locks.setdefault(process, threading.Lock()):
            bucket = self._buckets.get(key)
            if bucket is None:
                bucket = self._buckets[key] = _Bucket(key[1], uri, self._verdicts)
        self._bucket_of[uri] = (process, bucket)
        return bucket

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:
        bucket = self._bucket_with(uri)
        with bucket.folders_told(uri):
            return bucket.objects.stat(uri, version)

    def download(
        self,
        uri: Uri,
        dest: Path,
        *,
        version: str | None = None,
        unless: Revision | None = None,
        resume: bool = False,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo | NotModified:
        bucket = self._bucket_with(uri)
        source = bucket.objects.source(uri, version)
        with bucket.folders_told(uri):
            try:
                return transfer(source, dest, unless, progress, resume=resume)
            except ObjectChangedError:
                discard(dest)
            try:
                return transfer(source, dest, unless, progress)
            except ObjectChangedError as error:
                raise RemoteChangedError(str(uri), "twice") from error

    def upload(
        self,
        path: Path,
        uri: Uri,
        *,
        expect: Expected = ANY,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo:
        with cache_errors(path), _answered(uri):
            return self._bucket_with(uri).upload(path, uri, expect, progress)

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        with _answered(prefix):
            bucket, found = self._bucket(prefix), None
            for found in bucket.objects.walk(prefix):
                yield found
            if found is None:  # obstore takes any web page for an empty listing; boto3 can tell
                yield from bucket.boto.objects.walk(prefix)

    def versions(self, uri: Uri) -> Iterator[ObjectInfo]:
        bucket = self._bucket_with(uri)
        with bucket.folders_told(uri):
            yield from bucket.boto.versions(uri)

    def read(self, uri: Uri, start: int, end: int, *, version: str | None = None) -> bytes:
        bucket = self._bucket_with(uri)
        with bucket.folders_told(uri):
            return bucket.objects.read(uri, start, end, version)

    def read_revision(
        self, uri: Uri, start: int, end: int, of: Revision, *, version: str | None = None
    ) -> bytes:
        """Bytes of one revision: of the current object, or of one version, while it is that.

        Raises:
            RemoteChangedError: the object is another one now.
        """
        bucket = self._bucket_with(uri)
        if not of.is_strong:  # no condition can be put on that
            return bucket.objects.read(uri, start, end, version)
        with bucket.folders_told(uri):
            try:
                part = bucket.objects.source(uri, version).part(start, end, of)
                data = bytes(part.body())
            except ObjectChangedError as error:
                raise RemoteChangedError(str(uri)) from error
        if (part.info.etag, part.info.size_bytes) != (of.etag, of.size_bytes):
            raise RemoteChangedError(str(uri))  # the server heeds no If-Match
        refuse_another_range(uri, (start, end), of.size_bytes, (part.start, part.end), len(data))
        return data


class _FoldersTold:
    """What `_Bucket.folders_told` says; a part of every request, so no generator."""

    __slots__ = ("_bucket", "_uri")

    def __init__(self, bucket: _Bucket, uri: Uri) -> None:
        self._bucket, self._uri = bucket, uri

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, AnswerError):
            raise _senseless(self._uri) from error
        if isinstance(error, ObjectNotFoundError):
            self._bucket.refuse_folder(self._uri, error)


class _Bucket:
    """One bucket: its two clients, and what its server was seen to honour."""

    def __init__(self, connection: Connection, uri: Uri, verdicts: Verdicts) -> None:
        self._connection, self._name, self._verdicts = connection, uri.authority, verdicts
        self._boto: BotoBucket | None = None
        self._lock = threading.Lock()
        self._honours_conditions: bool | None = True if connection.is_aws else None
        self.objects = self._reached(uri)

    def _reached(self, uri: Uri) -> ObjectStore | BotoObjects:
        file = self._connection.ca_bundle
        if file is not None and not Path(file).exists():  # each client says something else then
            detail = f"{file!r} is not there, which AWS_CA_BUNDLE or SSL_CERT_FILE names"
            raise StorageUnavailableError(str(uri), detail)
        if survives_here() and not self._connection.only_boto:
            return ObjectStore(self._connection, uri, self._credentials(uri))
        return self.boto.objects

    def _credentials(self, uri: Uri) -> Any | None:
        if self._connection.anonymous or self._connection.keys is not None:
            return None
        return self.boto.credentials(uri)

    @property
    def boto(self) -> BotoBucket:
        """The boto3 half, imported when it is first needed."""
        with self._lock:
            if self._boto is None:
                made = loaded("s3_boto").BotoBucket(self._connection, self._name)
                self._boto = cast("BotoBucket", made)
        return self._boto

    def folders_told(self, uri: Uri) -> _FoldersTold:
        """Looks again at what is not found: it may be a folder, or its bucket may be missing."""
        return _FoldersTold(self, uri)

    def refuse_folder(self, uri: Uri, error: ObjectNotFoundError) -> None:
        """Raises what is better known than that an object was not found."""
        try:
            with _answered(uri):
                is_folder = self.objects.is_folder(uri)
        except ObjectNotFoundError as missing:
            raise missing from error  # the bucket itself
        except StorageAccessError:  # may not list
            return
        if is_folder:
            raise NotAnObjectError(str(uri)) from error

    def upload(
        self, path: Path, uri: Uri, expect: Expected, progress: TransferProgress
    ) -> ObjectInfo:
        size = path.stat().st_size
        if isinstance(expect, Revision) and not expect.is_strong:
            raise UnsupportedOperationError(
                str(uri), "the expected revision has no strong entity tag to compare"
            )
        if expect is not ANY:
            self._prove_conditions(uri)
        progress.total(size)
        # Elsewhere the parts of several uploads may all be completed at once, each upload told that
        # its condition held (SeaweedFS 4.48 does so); one request is safe there.
        is_in_parts = size > SINGLE_UPLOAD_BYTES and (expect is ANY or self._connection.is_aws)
        uploads = self.boto.uploads
        upload = uploads.upload_parts if is_in_parts else uploads.upload_whole
        try:
            written = upload(path, size, uri, expect, progress)
        except ConflictError as conflict:
            if uploads.may_be_done(conflict) and (own := self._own_work(uri, path, size)):
                return own
            raise self._refused(uri, expect) from conflict
        except StorageUnavailableError as error:
            with suppress(StorageError):
                if uploads.may_be_done(error) and (own := self._own_work(uri, path, size)):
                    return own
            raise
        return self._described(uri, size, written)

    def _own_work(self, uri: Uri, path: Path, size_bytes: int) -> ObjectInfo | None:
        """What is there, if it is what an upload whose answer was lost has written.

        Told by its bytes: not every server's entity tag says anything of them.
        """
        try:
            found = self.objects.stat(uri, None)
        except ObjectNotFoundError:
            return None
        if found.size_bytes != size_bytes:
            return None
        is_own = retried(lambda: self.boto.uploads.holds(uri, found, path))
        return found if is_own else None

    def _refused(self, uri: Uri, expect: Expected) -> ConflictError | StorageUnavailableError:
        if expect is ANY:
            detail = "others write to it at the same time; try again"
            return StorageUnavailableError(str(uri), detail)
        found, expected = self._name_of_found(uri), _name_of(expect)
        if found == expected:  # by now; it was another one
            found = "another revision"
        return ConflictError(str(uri), expected, found)

    def _name_of_found(self, uri: Uri) -> str:
        try:
            return f"{self.objects.stat(uri, None).etag}"
        except ObjectNotFoundError as error:
            if self.objects.is_folder(uri):  # some servers have folders, and no object in its place
                raise NotAnObjectError(str(uri)) from error
            return "absent"
        except StorageError:  # who may write need not be able to look
            return "another revision"

    def _described(self, uri: Uri, size_bytes: int, written: Written) -> ObjectInfo:
        """What an upload made. The object may be somebody else's next one by now."""
        made = ObjectInfo(uri, size_bytes, *normal_validators(*written))
        try:
            found = self.objects.stat(uri, None)  # which also knows when
        except StorageError:
            if made.etag is None:  # nothing was heard that only a store says
                raise
            return made
        return found if found.revision == made.revision and made.etag is not None else made

    def _prove_conditions(self, uri: Uri) -> None:
        """Makes sure that the server refuses writes whose condition does not hold.

        AWS documents it; others are tried once, on an object beside the target. Some accept the
        headers and ignore them, and would overwrite what they were told not to.
        """
        with self._lock:
            honours = self._honours_conditions
        if honours is None:
            server = f"{self._connection.endpoint} {self._name} honours conditions"
            honours = self._verdicts.has(server)
            if not honours:
                honours = retried(lambda: self.boto.uploads.honours_conditions(uri))
                if honours:
                    self._verdicts.keep(server)
            self._honours_conditions = honours
        if not honours:
            raise UnsupportedOperationError(
                str(uri), "the server ignores If-Match and If-None-Match, so a push could overwrite"
            )


@contextmanager
def _answered(uri: Uri) -> Iterator[None]:
    """Turns an answer that makes no sense, such as 304 to what has no condition, into an error."""
    try:
        yield
    except AnswerError as error:
        raise _senseless(uri) from error


def _senseless(uri: Uri) -> StorageUnavailableError:
    return StorageUnavailableError(str(uri), "its answer is not one to the question")


def _name_of(expect: Expected) -> str:
    if isinstance(expect, Revision):
        return f"{expect.etag}"
    return "absent" if expect is ABSENT else "anything"


def build(settings: StorageSettings) -> StoragePort:
    """The adapter as the registry makes it."""
    return RetryingStorage(S3Storage(settings))

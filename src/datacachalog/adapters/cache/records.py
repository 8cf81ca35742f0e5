"""The two small JSON files of the directory cache: an entry's record and a source's ref.

Both are hostile input when they are read: anything odd gives None, which the cache takes for a
miss. Where the system fails to read them, it cannot be told what they say: that is an OSError.
Nothing secret is ever in them.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from datacachalog.domain.checksum import Checksum
from datacachalog.domain.objects import CacheEntry, ObjectInfo
from datacachalog.domain.uri import Uri

FORMAT = 1
RECORD = ".entry.json"
"""The name of an entry's record, beside its file; `local_name` never gives it to a file."""
SETTLED = b"\n"
"""What a record ends in whose entry's bytes are on the disk, see `settling`."""
DAMAGED = ".damaged"
"""What the name of a note ends in, among the refs, that a layer's entry is damaged. It stays."""
NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO}
"""What the system says where there is no file, but a link, a folder or a pipe perhaps."""
_MAX_BYTES = 64 << 10
_WRITTEN = json.JSONEncoder(separators=(",\n ", ": "))  # `indent` would leave its fast way
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Record:
    """What an entry's `.entry.json` says of the file beside it."""

    identity: str
    file_name: str
    info: ObjectInfo
    digest: str
    mtime_ns: int
    checked_at: datetime
    checksum: Checksum | None = None
    boot: str | None = None
    """The boot of the machine that it was written in; None where that is not known."""
    is_settled: bool = False
    """Whether the file's bytes are on the disk, so that they outlive a power cut."""

    def as_entry(self, revision_id: str, folder: str, checked_at: datetime) -> CacheEntry:
        """The entry of that revision, whose file and record are in `folder`."""
        return CacheEntry(
            identity=self.identity,
            revision_id=revision_id,
            path=Path(f"{folder}/{self.file_name}"),
            info=self.info,
            digest=self.digest,
            mtime_ns=self.mtime_ns,
            checked_at=checked_at,
            checksum=self.checksum,
        )

    def to_json(self) -> str:
        """The record as text, one key a line, for people who look."""
        return self._keys_as_json() + (SETTLED.decode() if self.is_settled else "")

    def _keys_as_json(self) -> str:
        info = self.info
        uri = info.uri.without_secrets()
        modified = None if info.last_modified is None else info.last_modified.isoformat()
        return _WRITTEN.encode(
            {
                "format": FORMAT,
                "identity": self.identity,
                "uri": [uri.scheme, uri.authority, uri.path],
                "file": self.file_name,
                "size_bytes": info.size_bytes,
                "mtime_ns": self.mtime_ns,
                "blake3": self.digest,
                "etag": info.etag,
                "version": info.version,
                "last_modified": modified,
                "checked_at": self.checked_at.isoformat(),
                "checksum": None if self.checksum is None else str(self.checksum),
                **({} if self.boot is None else {"boot": self.boot}),
            }
        )


def read_record(path: str) -> Record | None:
    """The record at `path`, or None where there is none that makes sense.

    Raises:
        OSError: it cannot be told, as it could not be read.
    """
    data = _read(path)
    value = {"boot": None, **(_parsed(data) or {})}  # older records say none
    return _record_in(value, is_settled=data.endswith(SETTLED))


def _record_in(value: dict[str, Any], *, is_settled: bool) -> Record | None:
    match value:
        case {
            "format": 1,
            "identity": str(identity),
            "uri": [str(), str(), str()] as parts,
            "file": str(file_name),
            "size_bytes": int(size_bytes),
            "mtime_ns": int(mtime_ns),
            "blake3": str(digest),
            "etag": str() | None as etag,
            "version": str() | None as version,
            "last_modified": str() | None as modified,
            "checked_at": str(checked),
            "checksum": str() | None as declared,
            "boot": str() | None as boot,
        }:
            pass
        case _:
            return None
    try:
        _refuse_odd(file_name)
        when = None if modified is None else _aware(modified)
        info = ObjectInfo(Uri(*parts), size_bytes, etag, version, when, digest=digest)
        checksum = None if declared is None else Checksum.parse(declared)
        return Record(
            identity, file_name, info, digest, mtime_ns, _aware(checked), checksum, boot, is_settled
        )
    except ValueError:
        return None


def _refuse_odd(file_name: str) -> None:
    if file_name in {"", ".", ".."} or not {"/", "\0"}.isdisjoint(file_name):
        raise ValueError("it may be elsewhere")


def _aware(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError("it has no timezone")
    return when


def ref_json(identity: str, revision_id: str) -> str:
    """A ref as text: which revision of a source is the current one."""
    return json.dumps({"format": FORMAT, "identity": identity, "revision": revision_id})


def read_ref(path: str, identity: str) -> str | None:
    """The revision id that the ref at `path` names, if it is one of this source."""
    try:
        found_there = _parsed(_read(path))
    except OSError:
        return None
    match found_there:
        case {"format": 1, "identity": str(found), "revision": str(revision)}:
            is_id = len(revision) == 16 and revision.isalnum()
            return revision if found == identity and is_id else None
        case _:
            return None


def _read(path: str) -> bytes:
    """The bytes of a small file; none where there is no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return os.read(fd, _MAX_BYTES + 1)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in NOTHING_THERE:
            return b""
        raise


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data) if len(data) <= _MAX_BYTES else None
        json.dumps(value, ensure_ascii=False).encode()  # half a character cannot be used: an error
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def to_ns(when: datetime) -> int:
    """A time as a file's modification time."""
    return (when - _EPOCH) // _MICROSECOND * 1000


def from_ns(ns: int) -> datetime:
    """A file's modification time as a time; the nearest one where no calendar has it."""
    return _EPOCH + timedelta(microseconds=max(_FIRST_US, min(ns // 1000, _LAST_US)))

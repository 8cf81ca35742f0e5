"""Where the storage contract does its work, and what a subclass says of its store."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datacachalog.domain.uri import Uri
    from datacachalog.ports import StoragePort


ODD_NAMES = (
    "with space.csv",
    " leading and trailing ",
    "a#b",
    "a%b",
    "%41",
    "a%2Fb",
    "a+b",
    "a&b=c",
    "a?b=c",
    "a;b,c:d@e",
    "-rf",
    "~user",
    "..b",
    "a..",
    ".hidden",
    'it\'s "quoted"',
    "back\\slash",
    "$HOME `x` (y) <z> |",
    "[a]{b}*!^",
    unicodedata.normalize("NFC", "Zürich é"),
    unicodedata.normalize("NFD", "Zürich é"),
    "日本語.parquet",
    "😀",
    "x" * 196 + ".csv",
    "deep/er/and/deeper.csv",
    "partition=2024-01-01/part-0.parquet",
)
"""Names that adapters have been known to change; every store keeps them as they are."""


class Place:
    """A fresh prefix below `root` in a store, and hands to change it behind the adapter's back.

    `scratch` is a local folder for files on their way. `versioned` says whether the store keeps
    old versions, `conditional` whether it honours what an upload expects, `makes_buckets` whether
    an upload may go to a bucket that is not there yet. `renames` are those of `ODD_NAMES` that the
    store itself, not its adapter, keeps under another name. Without `put`, objects are written by
    `storage.upload`; without `delete`, tests that need a deletion are skipped; without
    `missing_bucket`, those of a bucket that is not there.
    """

    def __init__(
        self,
        storage: StoragePort,
        root: Uri,
        scratch: Path,
        *,
        versioned: bool = False,
        conditional: bool = True,
        makes_buckets: bool = False,
        renames: frozenset[str] = frozenset(),
        missing_bucket: Uri | None = None,
        put: Callable[[Uri, bytes], object] | None = None,
        delete: Callable[[Uri], object] | None = None,
    ) -> None:
        self.storage, self.scratch = storage, scratch
        self.versioned, self.conditional = versioned, conditional
        self.makes_buckets = makes_buckets
        self.renames = renames
        self._root = replace(root, path=f"{root.path.rstrip('/')}/{uuid4().hex}")
        self._missing_bucket = missing_bucket
        self._put = put or self._upload
        self._delete = delete

    def uri(self, name: str) -> Uri:
        """The address of `name`, below the fresh prefix. `name` is used as it stands."""
        return replace(self._root, path=f"{self._root.path}/{name}")

    def put(self, name: str, data: bytes) -> Uri:
        """Makes `data` the bytes of the object `name`, and returns its address."""
        self._put(self.uri(name), data)
        return self.uri(name)

    def delete(self, name: str) -> None:
        """Deletes the object `name`, or skips the test where the store cannot."""
        if self._delete is None:
            pytest.skip("this place cannot delete: give it delete=…")
        self._delete(self.uri(name))

    def missing_bucket_uri(self) -> Uri | None:
        """An address in a bucket that is not there; None where the store has no buckets."""
        return self._missing_bucket

    def file(self, data: bytes) -> Path:
        """A new local file that holds `data`."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        path = self.scratch / uuid4().hex
        path.write_bytes(data)
        return path

    def _upload(self, uri: Uri, data: bytes) -> None:
        path = self.file(data)
        self.storage.upload(path, uri)
        path.unlink()


class StorageFixtures:
    """What the parts of `StorageContract` share: `storage` and `place` are to be overridden."""

    big_bytes: ClassVar[int] = 20 * 1024 * 1024 + 7
    """Above what the adapter moves in one piece, and no multiple of it."""

    small_bytes: ClassVar[int] = 100_003

    secrets: ClassVar[tuple[str, ...]] = ()
    """The credentials that `storage` uses; none may be seen."""

    @pytest.fixture
    def storage(self) -> StoragePort:
        """The store under test."""
        raise NotImplementedError("override the fixture 'storage'")

    @pytest.fixture
    def place(self) -> Place:
        """A `Place` in the store under test."""
        raise NotImplementedError("override the fixture 'place'")

    @pytest.fixture(params=["small", "big"])
    def size_bytes(self, request: pytest.FixtureRequest) -> int:
        """A size on either side of what the adapter moves in one piece."""
        return self.big_bytes if request.param == "big" else self.small_bytes

    @pytest.fixture
    def nowhere(self, place: Place) -> Uri:
        """An address in a bucket that is not there."""
        uri = place.missing_bucket_uri()
        if uri is None:
            pytest.skip("this store has no buckets")
        return uri

"""One storage port for every scheme: the adapter is found, and imported, when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacachalog.domain.objects import ANY
from datacachalog.domain.versions import version_at
from datacachalog.ports import SILENT, HistoryPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from datacachalog.domain.objects import Expected, NotModified, ObjectInfo, Revision
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import StoragePort, TransferProgress


class RouterStorage:
    """Hands every call to the adapter of the URI's scheme, which `adapter_for` makes once."""

    def __init__(self, adapter_for: Callable[[Uri], StoragePort]) -> None:
        self._adapter_for = adapter_for
        self._adapters: dict[str, StoragePort] = {}
        self._identities: dict[Uri, str] = {}

    def _of(self, uri: Uri) -> StoragePort:
        adapter = self._adapters.get(uri.scheme)
        if adapter is None:
            # Two threads may both make one; the second is dropped, unused.
            adapter = self._adapters.setdefault(uri.scheme, self._adapter_for(uri))
        return adapter

    def identity(self, uri: Uri) -> str:
        identity = self._identities.get(uri)
        if identity is None:  # it is stable, and a part of every warm hit
            identity = self._identities[uri] = self._of(uri).identity(uri)
        return identity

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:
        return self._of(uri).stat(uri, version=version)

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
        return self._of(uri).download(
            uri, dest, version=version, unless=unless, resume=resume, progress=progress
        )

    def upload(
        self,
        path: Path,
        uri: Uri,
        *,
        expect: Expected = ANY,
        progress: TransferProgress = SILENT,
    ) -> ObjectInfo:
        return self._of(uri).upload(path, uri, expect=expect, progress=progress)

    def walk(self, prefix: Uri) -> Iterator[ObjectInfo]:
        return self._of(prefix).walk(prefix)

    def versions(self, uri: Uri) -> Iterator[ObjectInfo]:
        return self._of(uri).versions(uri)

    def version_at(self, uri: Uri, as_of: datetime) -> ObjectInfo:
        adapter = self._of(uri)
        if isinstance(adapter, HistoryPort):
            return adapter.version_at(uri, as_of)
        return version_at(uri, adapter.versions(uri), as_of)

    def read(self, uri: Uri, start: int, end: int, *, version: str | None = None) -> bytes:
        return self._of(uri).read(uri, start, end, version=version)

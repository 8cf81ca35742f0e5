"""The composition root: settings become adapters, and adapters a catalog.

Nothing is built at import, and every part can be replaced by an argument.
"""

from __future__ import annotations

import importlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from datacachalog import config
from datacachalog.adapters.automatic_progress import AutomaticProgress
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.storage.registry import ENTRY_POINTS, StorageSettings, storage_of
from datacachalog.application.catalog import CoreCatalog
from datacachalog.domain.errors import UnsupportedSchemeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.storage_options import StorageOptions
    from datacachalog.manifest import Manifest
    from datacachalog.ports import CachePort, StoragePort

_BUILT_IN = {"file", "s3"}


class Catalog(CoreCatalog):
    """Named datasets, fetched through a cache on this machine. Threads and processes may share one.

    Made from a list of datasets, or by `Catalog.open` from a `catalog.yaml`. `cache_dir` comes
    before the environment's `DATACACHALOG_CACHE_DIR` and the user's cache folder; relative paths
    start at the current folder.

    >>> from datacachalog import Catalog, Dataset
    >>> catalog = Catalog([Dataset("customers", "data/customers.csv")])
    >>> list(catalog)
    ['customers']

    Raises:
        DatasetNameError: two datasets have one name.
        UnsupportedSchemeError: nothing serves a source, and no `storage` is given.
    """

    def __init__(
        self,
        datasets: Iterable[Dataset],
        *,
        cache_dir: str | os.PathLike[str] | None = None,
        storage: StoragePort | None = None,
        cache: CachePort | None = None,
    ) -> None:
        here = Path.cwd()
        found = [dataset.starting_at(here) for dataset in datasets]
        for source in (dataset.source for dataset in found if storage is None):
            if not serves(source.scheme):
                raise UnsupportedSchemeError(str(source), "built in: file://, s3://")
        self._build(
            found,
            cache_dir=config.cache_dir(cache_dir, os.environ, None),
            storage=storage,
            cache=cache,
        )

    def _build(
        self,
        datasets: list[Dataset],
        *,
        cache_dir: Path,
        storage: StoragePort | None = None,
        cache: CachePort | None = None,
        options: Mapping[str, StorageOptions] | None = None,
        file: Path | None = None,
        offline: bool | None = None,
    ) -> None:
        self.file = file
        self._recipe = {
            "datasets": datasets,
            "cache_dir": cache_dir,
            "storage": storage,
            "cache": cache,
            "options": options,
            "file": file,
        }
        verdicts = None if cache else cache_dir / "v1" / "servers"
        settings = StorageSettings(options or {}, dict(os.environ), verdicts)
        super().__init__(
            datasets,
            storage=storage or storage_of(settings),
            cache=cache or DirectoryCache(cache_dir),
            clock=_now,
            progress=AutomaticProgress(_is_watched),
            offline=config.is_offline(os.environ) if offline is None else offline,
        )

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> Catalog:
        """The catalog of a `catalog.yaml`: the one at `path`, or the nearest one.

        `path` is the file or its folder. Without it, `DATACACHALOG_CATALOG` names it, or it is
        looked for in the current folder and above.

        Raises:
            CatalogNotFoundError: there is none.
            CatalogInvalidError: it has mistakes; all of them are listed.
        """
        file = config.find_catalog(None, path, os.environ)
        # By name: it brings the YAML parser, 30 ms that a catalog made in Python has no use for.
        manifest = importlib.import_module("datacachalog.manifest")
        declared: Manifest = manifest.load(file, os.environ, serves)
        catalog = cls.__new__(cls)
        catalog._build(  # noqa: SLF001 - our own class
            list(declared.datasets),
            cache_dir=config.cache_dir(cache_dir, os.environ, declared.cache_dir),
            options=declared.storage,
            file=declared.file,
        )
        return catalog

    @property
    def root(self) -> Path | None:
        """The folder of the catalog file, where its relative paths start."""
        return None if self.file is None else self.file.parent

    def __repr__(self) -> str:
        where = "" if self.file is None else f"{str(self.file)!r}, "
        return f"Catalog({where}{len(self)} {'dataset' if len(self) == 1 else 'datasets'})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Clients, locks and displays do not travel to other processes: each builds its own.
        return _rebuilt, (type(self), {**self._recipe, "offline": self.offline})


def serves(scheme: str) -> bool:
    """Whether there is a storage adapter for a scheme, built in or of another package.

    >>> serves("s3"), serves("gopher")
    (True, False)
    """
    if scheme in _BUILT_IN:
        return True
    # By name: importing it takes 20 ms, and only unknown schemes need it.
    metadata = importlib.import_module("importlib.metadata")
    return bool(metadata.entry_points(group=ENTRY_POINTS, name=scheme))


def _rebuilt(kind: type[Catalog], recipe: dict[str, Any]) -> Catalog:
    catalog = kind.__new__(kind)
    catalog._build(**recipe)  # noqa: SLF001 - our own class
    return catalog


def _now() -> datetime:
    return datetime.now(UTC)


def _is_watched() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    in_notebook = type(shell).__name__ == "ZMQInteractiveShell"
    return config.progress_wanted(os.environ, stream_isatty=in_notebook or _is_terminal(sys.stderr))


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()  # None: the process began without the stream
    except (AttributeError, ValueError):  # one that only knows how to write, or was closed
        return False

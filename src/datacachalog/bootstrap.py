"""The composition root: settings become adapters, and adapters a catalog.

Nothing is built at import, and every part can be replaced by an argument.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from datacachalog import config
from datacachalog.adapters.automatic_progress import AutomaticProgress
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.settling import Settling
from datacachalog.adapters.lockfile import LockfileOnDisk
from datacachalog.adapters.storage.registry import ENTRY_POINTS, StorageSettings, storage_of
from datacachalog.adapters.view import DirectoryView
from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.locking import Lockfile
from datacachalog.domain.errors import SettingError, UnsupportedSchemeError
from datacachalog.domain.housekeeping import Bounds
from datacachalog.domain.sizes import MinFree, parse_bytes
from datacachalog.domain.view import view_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.durability import Durability
    from datacachalog.domain.storage_options import StorageOptions
    from datacachalog.domain.uri import Uri
    from datacachalog.manifest import Manifest
    from datacachalog.ports import CachePort, DatlakeApiPort, StoragePort

_BUILT_IN = {"file", "s3", "datlake"}


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What a catalog is made of; it can be pickled where its parts can."""

    datasets: Sequence[Dataset]
    cache_dir: Path
    bounds: Bounds
    layers: Sequence[Path]
    shared: bool
    durability: Durability
    storage: StoragePort | None = None
    cache: CachePort | None = None
    view: Path | None = None
    options: Mapping[str, StorageOptions] = field(default_factory=dict)
    file: Path | None = None
    sources: Mapping[str, Uri] = field(default_factory=dict)
    api: DatlakeApiPort | None = None
    registry_url: str | None = None

    def registry(self) -> DatlakeApiPort:
        """What the tables are asked of."""
        if self.api is not None:
            return self.api
        # By name, when the first table is asked for: most catalogs have none.
        module = importlib.import_module("datacachalog.adapters.api.of_catalog")
        return cast("DatlakeApiPort", module.registry_of(self.registry_url, os.environ))

    def lockfile(self) -> Lockfile:
        """The lockfile beside the catalog file, where there is one."""
        port = None if self.file is None else LockfileOnDisk(config.lockfile(self.file))
        return Lockfile(port, self.sources)


class Catalog(CoreCatalog):
    """Named datasets, fetched through a cache on this machine. Threads and processes may share one.

    Made from a list of datasets, or by `Catalog.open` from a `catalog.yaml`. `cache_dir` comes
    before the environment's `DATACACHALOG_CACHE_DIR` and the user's cache folder; relative paths
    start at the current folder. `max_size` is what the cache may take, in bytes or as `20GB`, and
    `min_free` what its disk keeps free, as `5%` or a size. `cache_layers` are the folders of other
    caches, which are only read. `cache_shared` says that others may write to the cache, and are
    trusted; `durability` is what the cache does about power cuts: `lazy`, `strict` or `none`.
    Without them, `DATACACHALOG_SHARED` and `DATACACHALOG_DURABILITY` say it. `view` is a folder
    that is to have a link to the current copy of each dataset. `api` is the registry that tables
    (`datlake://`) are asked of, instead of the one that `DATLAKE_API_URL` names.

    >>> from datacachalog import Catalog, Dataset
    >>> catalog = Catalog([Dataset("customers", "data/customers.csv")])
    >>> list(catalog)
    ['customers']

    Raises:
        DatasetNameError: two datasets have one name, or one link in the view.
        SettingError: `view` is the cache folder, or in it, or a variable makes no sense.
        UnsupportedSchemeError: nothing serves a source, and no `storage` is given.
        ValueError: `max_size` or `min_free` is no size, `durability` no policy, or both `storage`
            and `api` are given.
    """

    def __init__(  # noqa: PLR0913 - the settings of catalog.yaml, all by name
        self,
        datasets: Iterable[Dataset],
        *,
        cache_dir: str | os.PathLike[str] | None = None,
        storage: StoragePort | None = None,
        cache: CachePort | None = None,
        max_size: int | str | None = None,
        min_free: int | str = "5%",
        cache_layers: Iterable[str | os.PathLike[str]] = (),
        cache_shared: bool | None = None,
        durability: str | None = None,
        view: str | os.PathLike[str] | None = None,
        api: DatlakeApiPort | None = None,
    ) -> None:
        if storage is not None and api is not None:
            raise ValueError("give storage or api: what storage does with tables is its own affair")
        recipe = _Recipe(
            _absolute(datasets, are_served=storage is not None),
            config.cache_dir(cache_dir, os.environ, None),
            _bounds(max_size, min_free),
            [Path(layer).absolute() for layer in cache_layers],
            config.is_shared(cache_shared, os.environ, None),
            config.durability(durability, os.environ, None),
            storage=storage,
            cache=cache,
            view=config.view_dir(view, os.environ),
            api=api,
        )
        self._build(recipe)

    def _build(self, recipe: _Recipe, *, offline: bool | None = None) -> None:
        self.file, self._recipe = recipe.file, recipe
        verdicts = None if recipe.cache else recipe.cache_dir / "v1" / "servers"
        environ = dict(os.environ)
        settings = StorageSettings(recipe.options, environ, verdicts, recipe.registry)
        super().__init__(
            recipe.datasets,
            storage=recipe.storage or storage_of(settings),
            cache=recipe.cache or _cache_of(recipe),
            view=_view_of(recipe.view, [recipe.cache_dir, *recipe.layers]),
            clock=_now,
            progress=AutomaticProgress(_is_watched),
            offline=config.is_offline(os.environ) if offline is None else offline,
            bounds=recipe.bounds,
            lockfile=recipe.lockfile(),
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
        recipe = _Recipe(
            declared.datasets,
            config.cache_dir(cache_dir, os.environ, declared.cache_dir),
            declared.bounds,
            declared.layers,
            config.is_shared(None, os.environ, declared.shared),
            config.durability(None, os.environ, declared.durability),
            view=declared.view,
            options=declared.storage,
            file=declared.file,
            sources=declared.sources,
            registry_url=declared.registry_url,
        )
        catalog._build(recipe)  # noqa: SLF001 - our own class
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
        return _rebuilt, (type(self), self._recipe, self.offline)


def _absolute(datasets: Iterable[Dataset], *, are_served: bool) -> list[Dataset]:
    """The datasets, whose relative paths start here."""
    found = [dataset.starting_at(Path.cwd()) for dataset in datasets]
    for source in (dataset.source for dataset in found if not are_served):
        if not serves(source.scheme):
            raise UnsupportedSchemeError(str(source), "built in: file://, s3://, datlake://")
    return found


def _bounds(max_size: int | str | None, min_free: int | str) -> Bounds:
    max_bytes = None if max_size is None else parse_bytes(str(max_size))
    return Bounds(max_bytes, MinFree.parse(str(min_free)))


def _cache_of(recipe: _Recipe) -> CachePort:
    folder, settling, shared = recipe.cache_dir, Settling(recipe.durability), recipe.shared
    if not recipe.layers:
        return DirectoryCache(folder, settling, shared=shared)
    # By name: few have layers, and every command would pay for it.
    module = importlib.import_module("datacachalog.adapters.cache.layered")
    return cast("CachePort", module.LayeredCache(folder, recipe.layers, settling, shared=shared))


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


def _rebuilt(kind: type[Catalog], recipe: _Recipe, offline: bool) -> Catalog:  # noqa: FBT001 - pickle's way
    catalog = kind.__new__(kind)
    catalog._build(recipe, offline=offline)  # noqa: SLF001 - our own class
    return catalog


def _view_of(folder: Path | None, caches: Sequence[Path]) -> DirectoryView | None:
    if folder is None:
        return None
    for problem in filter(None, (view_problem(folder, cache) for cache in caches)):
        raise SettingError("view", problem)
    return DirectoryView(folder)


def _now() -> datetime:
    return datetime.now(UTC)  # looked up at each call: tests freeze it


def _is_watched() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    in_notebook = type(shell).__name__ == "ZMQInteractiveShell"
    return config.progress_wanted(os.environ, stream_isatty=in_notebook or _is_terminal(sys.stderr))


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()  # None: the process began without the stream
    except (AttributeError, ValueError):  # one that only knows how to write, or was closed
        return False

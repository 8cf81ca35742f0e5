"""A catalog file -> `Manifest`.

The file is data that somebody else may have written: reading it runs nothing, asks nothing of the
network, and takes bounded time and memory.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from os.path import normpath, realpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import CatalogInvalidError, CatalogNotFoundError
from datacachalog.domain.housekeeping import Bounds
from datacachalog.domain.sizes import FIVE_PERCENT
from datacachalog.domain.view import colliding, view_problem
from datacachalog.manifest.document import MAX_BYTES, GaveUpError, Problems, Scalar, parse
from datacachalog.manifest.format import CATALOG
from datacachalog.manifest.values import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datacachalog.domain.durability import Durability
    from datacachalog.domain.storage_options import StorageOptions
    from datacachalog.domain.uri import Uri


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a catalog file says.

    `file` and `root`, its folder, are absolute; so are the sources of `datasets`, which are in
    the order of the file. `cache_dir` is absolute too, and None where the file names none.
    `storage` has the options by URI prefix, `bounds` how much the cache may take,
    `layers` the absolute folders of caches below it, `shared` whether others may write to it and
    `durability` what it does about power cuts, both None where the file does not say so, `sources`
    the sources of datasets by name, as
    they stand in the file: relative ones are. `view` is absolute and inside of `root`, if there is
    one.
    """

    file: Path
    root: Path
    datasets: tuple[Dataset, ...]
    cache_dir: Path | None
    storage: Mapping[str, StorageOptions]
    bounds: Bounds
    layers: tuple[Path, ...]
    sources: Mapping[str, Uri]
    view: Path | None = None
    shared: bool | None = None
    durability: Durability | None = None
    registry_url: str | None = None
    """Where the registry is; None where the file does not say so."""


def _anything(_scheme: str) -> bool:
    return True


def load(
    file: Path, environ: Mapping[str, str], serves: Callable[[str], bool] = _anything
) -> Manifest:
    """What `file` says, with `environ` for the variables that it refers to.

    `serves` tells whether there is a storage adapter for a scheme; sources on others are mistakes.

    Raises:
        CatalogNotFoundError: there is no such file.
        CatalogInvalidError: it cannot be read, or breaks the format; it lists every mistake.
    """
    name = file.name if file.is_absolute() else str(file)
    problems = Problems()
    try:
        values = _values(_content(file, name), Place("", problems, environ, serves))
    except GaveUpError:
        values = {}
    if not problems:
        declared = _manifest(file.absolute(), values)
        problem = None if declared.view is None else _view_problem(declared, declared.view)
        if problem is None:
            return declared
        problems.add(values["view"][1], f"'view' {problem}")
    raise CatalogInvalidError(str(file), problems.listed(name))


def _content(file: Path, name: str) -> bytes:
    """The bytes of the file, and one more than allowed where it has them."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for, for ever
            raise CatalogInvalidError(str(file), (f"{name}: is not a regular file",))
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        raise CatalogNotFoundError(f"at {str(file)!r}") from None
    except OSError as error:
        problem = f"{name}: cannot be read: {error.strerror}"
        raise CatalogInvalidError(str(file), (problem,)) from error


def _values(content: bytes, place: Place) -> dict[str, Any]:
    tree = parse(content, place.problems)
    if isinstance(tree, Scalar) and tree.is_null:
        place.problems.stop(1, "the catalog is empty; begin with 'version: 1'")
    return CATALOG.read(tree, place) or {}


def _view_problem(declared: Manifest, view: Path) -> str | None:
    """Why there can be no view in that folder, as the rest of a sentence, or None.

    Links count as where they lead: a catalog that comes with some must not have others written to
    outside of its folder.
    """
    root, folder = Path(realpath(declared.root)), Path(realpath(view))
    if folder == root:
        return "is the folder of this file; name one in it"
    if not folder.is_relative_to(root):
        return "is outside of the folder of this file"
    for cache in filter(None, (declared.cache_dir, *declared.layers)):
        if problem := view_problem(folder, Path(realpath(cache))):
            return problem
    if found := colliding(declared.datasets):
        one, other, link = found
        return f"would have one link, {link!r}, for the datasets {one.name!r} and {other.name!r}"
    return None


def _manifest(file: Path, values: Mapping[str, Any]) -> Manifest:
    root = file.parent
    defaults = values.get("defaults", {})
    datasets = [
        Dataset(name, **{**defaults, **fields})
        for name, fields in values.get("datasets", {}).items()
    ]
    cache = values.get("cache", {})
    folder = cache.get("dir")
    view, _ = values.get("view", (None, 0))
    return Manifest(
        file,
        root,
        tuple(dataset.starting_at(root) for dataset in datasets),
        root / folder if folder else None,
        values.get("storage", {}),
        Bounds(cache.get("max_size"), cache.get("min_free", FIVE_PERCENT)),
        tuple(root / layer for layer in cache.get("layers", ())),
        {dataset.name: dataset.source for dataset in datasets},
        Path(normpath(root / view)) if view else None,
        cache.get("shared"),
        cache.get("durability"),
        values.get("registry", {}).get("url"),
    )

"""Settings and their precedence: the only room that knows the catalog's environment variables.

- `DATACACHALOG_CATALOG`: the catalog file, or the folder that holds it.
- `DATACACHALOG_CACHE_DIR`: the folder that keeps fetched files.
- `DATACACHALOG_DURABILITY`: `lazy`, `strict` or `none`, what the cache does about power cuts.
- `DATACACHALOG_PROGRESS`: `0` never shows progress, `1` always does.
- `DATACACHALOG_SHARED`: `1` uses a cache that others may write to, and lets the group do so.
- `DATACACHALOG_OFFLINE`: `1` asks no store that is reached by a network.
- `CI`: where it is set, and not to `0` or `false`, progress is not shown.

An argument of the call beats the environment, which beats catalog.yaml, which beats the default.
A variable that is set to nothing is as if it were not set. `~/` in these variables is the home
folder, since not everything that sets them is a shell.

Variables that catalog.yaml itself refers to are read by `manifest`, those of vendors by adapters.
"""

from __future__ import annotations

import importlib
import os
import stat
from contextlib import suppress
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING

from datacachalog.domain.durability import Durability
from datacachalog.domain.errors import CachePermissionError, CatalogNotFoundError, SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

CATALOG_FILE = "catalog.yaml"

_MISSPELT = {"catalog.yaml", "catalog.yml", "catalogue.yaml", "catalogue.yml"}  # in any case
_NO = {"0", "false", "no", "off"}
_YES = {"1", "true", "yes", "on"}


def find_catalog(
    start: Path | None, explicit: str | os.PathLike[str] | None, environ: Mapping[str, str]
) -> Path:
    """The catalog file to use: the one that is named, else the nearest from `start` upward.

    `explicit`, and `DATACACHALOG_CATALOG` after it, name the file or the folder that holds it.
    `start` is a folder; None is the current one. What is named is returned as it is named, what
    is found as an absolute path.

    Raises:
        CatalogNotFoundError: there is none; it says where it was looked for.
    """
    if explicit is not None:
        return _named(Path(explicit), "")
    if named := environ.get("DATACACHALOG_CATALOG"):
        return _named(_path(named, environ), ", which DATACACHALOG_CATALOG names")
    return _nearest(start)


def _named(path: Path, by: str) -> Path:
    file = path / CATALOG_FILE if _is(stat.S_ISDIR, path) else path
    if not _is(stat.S_IFMT, file):
        raise CatalogNotFoundError(f"at {str(file)!r}{by}", _misspelt([file.parent]))
    return file


def _nearest(start: Path | None) -> Path:
    try:
        folder = Path(normpath((start or Path()).absolute()))
    except FileNotFoundError:
        raise CatalogNotFoundError("in the current folder, which was removed") from None
    folders = (folder, *folder.parents)
    for each in folders:
        if _is(stat.S_ISREG, each / CATALOG_FILE):
            return each / CATALOG_FILE
    where = f"in {str(folder)!r} or in a folder above it"
    raise CatalogNotFoundError(where, _misspelt(folders))


def _misspelt(folders: Iterable[Path]) -> str | None:
    """The nearest file whose name is nearly right."""
    for folder in folders:
        with suppress(OSError, ValueError):  # one that may not be looked into, or is none
            for file in sorted(folder.iterdir()):
                if file.name.lower() in _MISSPELT and file.name != CATALOG_FILE:
                    return str(file)
    return None


def _is(kind: Callable[[int], int], path: Path) -> bool:
    """Whether there is something of that kind; what may not be looked at is not there."""
    try:
        return bool(kind(path.stat().st_mode))
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return False


def lockfile(catalog_file: Path) -> Path:
    """The lockfile of a catalog file: beside it, by its name.

    >>> str(lockfile(Path("/shop/catalog.yaml")))
    '/shop/catalog.lock'
    """
    is_yaml = catalog_file.suffix in {".yaml", ".yml"}
    return catalog_file.with_name(f"{catalog_file.stem if is_yaml else catalog_file.name}.lock")


def cache_dir(
    explicit: str | os.PathLike[str] | None,
    environ: Mapping[str, str],
    manifest_dir: Path | None,
) -> Path:
    """The folder that keeps fetched files, as an absolute path; it need not exist.

    Named by the call, by `DATACACHALOG_CACHE_DIR`, or by catalog.yaml (`manifest_dir`), in this
    order; else the place for caches of this user (`~/.cache/datacachalog`, on Linux).

    Raises:
        CachePermissionError: the user has no home folder to keep a cache in.
        SettingError: the call names no folder.
    """
    if explicit is not None:
        if not (text := os.fspath(explicit)):  # as of an unset variable; not the current folder
            raise SettingError("cache_dir", "is empty")
        return _path(text, environ).absolute()
    if named := environ.get("DATACACHALOG_CACHE_DIR"):
        return _path(named, environ).absolute()
    if manifest_dir is not None:
        return manifest_dir
    try:
        # By name: importing it takes 17 ms, and a catalog that names its cache has no use for it.
        found: Path = importlib.import_module("platformdirs").user_cache_path("datacachalog")
    except RuntimeError:  # as in a container whose user has no entry in /etc/passwd
        raise CachePermissionError("~", "the home folder of this user is not known") from None
    return found


def durability(
    explicit: str | None, environ: Mapping[str, str], declared: Durability | None
) -> Durability:
    """What the cache does about power cuts.

    As the call says, `DATACACHALOG_DURABILITY`, or catalog.yaml (`declared`), in this order.

    Raises:
        SettingError: the environment names no policy.
        ValueError: the call names none.
    """
    if explicit is not None:
        return Durability.parse(explicit)
    if named := environ.get("DATACACHALOG_DURABILITY", "").strip().lower():
        try:
            return Durability.parse(named)
        except ValueError as error:
            raise SettingError("DATACACHALOG_DURABILITY", str(error)) from None
    return declared or Durability.LAZY


def view_dir(explicit: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path | None:
    """The folder of links that a call names, as an absolute path without `..`; it need not exist.

    Raises:
        SettingError: the call names no folder.
    """
    if explicit is None:
        return None
    if not (text := os.fspath(explicit)):
        raise SettingError("view", "is empty")
    return Path(normpath(_path(text, environ).absolute()))


def _path(text: str, environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME")
    if home and (text == "~" or text.startswith("~/")):
        return Path(home + text[1:])
    return Path(text)


def is_offline(environ: Mapping[str, str]) -> bool:
    """Whether the environment says that no store may be asked that is reached by a network.

    >>> is_offline({"DATACACHALOG_OFFLINE": "1"})
    True

    Raises:
        SettingError: it cannot be told; who wants to be offline must not go online for a typo.
    """
    return bool(_flag("DATACACHALOG_OFFLINE", environ))


def is_shared(
    explicit: bool | None,  # noqa: FBT001 - an answer passed on, as below
    environ: Mapping[str, str],
    in_manifest: bool | None,  # noqa: FBT001 - likewise
) -> bool:
    """Whether others may write to the cache, and are trusted.

    The call says so, or `DATACACHALOG_SHARED`, or catalog.yaml (`in_manifest`), in this order.

    >>> is_shared(None, {"DATACACHALOG_SHARED": "0"}, in_manifest=True)
    False

    Raises:
        SettingError: it cannot be told what the environment says.
    """
    said = _flag("DATACACHALOG_SHARED", environ) if explicit is None else explicit
    return bool(in_manifest if said is None else said)


def _flag(name: str, environ: Mapping[str, str]) -> bool | None:
    said = environ.get(name, "").strip().lower()
    if said not in {"", *_NO, *_YES}:
        raise SettingError(name, "must be 1 or 0")
    return said in _YES if said else None


def progress_wanted(
    environ: Mapping[str, str],
    stream_isatty: bool,  # noqa: FBT001 - it is an answer passed on, never a bare True
) -> bool:
    """Whether to show progress on a stream, by its kind and `environ`.

    >>> progress_wanted({}, stream_isatty=True)
    True
    >>> progress_wanted({"CI": "true"}, stream_isatty=True)
    False
    """
    wish = environ.get("DATACACHALOG_PROGRESS", "").lower()
    if wish in _NO | _YES:
        return wish in _YES
    return stream_isatty and environ.get("CI", "").lower() in {"", *_NO}

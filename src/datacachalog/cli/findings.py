"""What `catalog doctor` finds on this machine: versions, settings, the catalog, the cache.

Each function looks at one thing and returns a `Finding`; none raises because of what it finds.
No value of a variable that may hold a secret is told.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from datacachalog import config, manifest
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.disk import cache_errors
from datacachalog.adapters.view import DirectoryView, view_errors
from datacachalog.bootstrap import serves
from datacachalog.cli.messages import record as error_record
from datacachalog.domain.errors import DatacachalogError, ViewError
from datacachalog.domain.uri import Uri
from datacachalog.domain.view import link_name
from datacachalog.domain.words import size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datacachalog import Dataset
    from datacachalog.cli.options import GlobalOptions
    from datacachalog.cli.output import JsonValue
    from datacachalog.manifest import Manifest

_TOLD: Final = ("datacachalog", "python", "obstore", "boto3")
_PACKAGES: Final = ("obstore", "boto3", "botocore", "blake3", "pyyaml", "click", "rich")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_TELLING: Final = ("DATACACHALOG_", "AWS_", "SSL_CERT_", *_PROXIES)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing: for people, for programs, and what is wrong with it."""

    check: str
    said: str
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    error: DatacachalogError | None = None

    def record(self) -> dict[str, JsonValue]:
        """The finding as it is in JSON."""
        error = None if self.error is None else error_record(self.error)
        return {"check": self.check, "ok": error is None, "error": error, **self.details}


def versions() -> Finding:
    """Which versions of everything are at work."""
    found: dict[str, JsonValue] = {
        "datacachalog": _version("datacachalog"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: _version(package) for package in _PACKAGES},
    }
    told = [f"{name} {found[name]}" for name in _TOLD if found.get(name)]
    said = ", ".join([*told, f"{platform.system()} {platform.machine()}"])
    return Finding("versions", said, found)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def environment(environ: Mapping[str, str]) -> Finding:
    """Which variables are set that have a say; not what they say."""
    names = sorted(name for name in environ if name.upper().startswith(_TELLING))
    return Finding("environment", ", ".join(names) or "nothing", {"variables": names})


def catalog_file(
    options: GlobalOptions, environ: Mapping[str, str]
) -> tuple[Finding, Manifest | None]:
    """Which catalog file is used, and why that one; and what it says, where it is right."""
    if options.catalog is not None:
        found_by = "--catalog"
    elif environ.get("DATACACHALOG_CATALOG"):
        found_by = "DATACACHALOG_CATALOG"
    else:
        found_by = "the nearest from here upward"
    details: dict[str, JsonValue] = {"found_by": found_by, "file": None, "datasets": None}
    try:
        file = config.find_catalog(None, options.catalog, environ)
        details["file"] = str(file)
        declared = manifest.load(file, environ, serves)
    except DatacachalogError as error:
        return Finding("catalog", str(error), details, error), None
    count = len(declared.datasets)
    said = f"{file} ({found_by}), {count} {'dataset' if count == 1 else 'datasets'}"
    return Finding("catalog", said, {**details, "datasets": count}), declared


def cache_folder(
    options: GlobalOptions, environ: Mapping[str, str], declared: Manifest | None
) -> Finding:
    """Where the cache is, who said so, and whether it can be used."""
    in_file = None if declared is None else declared.cache_dir
    is_shared = None if declared is None else declared.shared
    set_by = _who_set_the_cache(options, environ, in_file)
    try:
        root = config.cache_dir(options.cache_dir, environ, in_file)
        cache = DirectoryCache(root, shared=config.is_shared(None, environ, is_shared))
        # First: nothing is written to one that is not safe to use.
        sizes = [entry.info.size_bytes for entry in cache.entries()]
        has_locks = _try_to_write(root)
    except DatacachalogError as error:
        return Finding("cache", str(error), {"set_by": set_by}, error)
    copies = f"{len(sizes)} {'copy' if len(sizes) == 1 else 'copies'}"
    free = cache.space().free_bytes
    locks = "" if has_locks else "; its file system has no locks: downloads may be done twice"
    return Finding(
        "cache",
        f"{cache.root} ({set_by}), {copies}, {size(sum(sizes))}, {size(free)} free{locks}",
        {
            "dir": str(cache.root),
            "set_by": set_by,
            "copies": len(sizes),
            "size_bytes": sum(sizes),
            "free_bytes": free,
            "locks": has_locks,
        },
    )


def cache_layer(folder: Path, environ: Mapping[str, str], declared: Manifest) -> Finding:
    """What a layer of the cache holds, and whether it can be used; one may be missing."""
    known: dict[str, JsonValue] = {"dir": str(folder), "is_there": folder.is_dir()}
    try:
        shared = config.is_shared(None, environ, declared.shared)
        copies = len(list(DirectoryCache(folder, shared=shared, is_layer=True).entries()))
    except DatacachalogError as error:
        return Finding("layer", str(error), known, error)
    if not folder.is_dir():
        return Finding("layer", f"{folder}, which is no folder here, so it has nothing", known)
    said = f"{folder}, {copies} {'copy' if copies == 1 else 'copies'}"
    return Finding("layer", said, {**known, "copies": copies})


def view_folder(folder: Path, datasets: Iterable[Dataset]) -> Finding:
    """Whether the links of the view can be made, and which of them lead nowhere."""
    view, known = DirectoryView(folder), {"dir": str(folder)}
    try:
        links = view.links()
        for dataset in datasets:
            view.refuse_others(link_name(dataset))
        there = next(each for each in (folder, *folder.parents) if each.exists())
        with view_errors(folder), TemporaryDirectory(prefix=".doctor-", dir=there):
            pass
    except ViewError as error:
        return Finding("view", str(error), known, error)
    broken = [name for name, leads_somewhere in links.items() if not leads_somewhere]
    said = f"{folder}, {len(links)} {'link' if len(links) == 1 else 'links'}"
    if broken:
        said += f"; a fetch mends those that lead nowhere: {', '.join(broken)}"
    return Finding("view", said, {**known, "links": len(links), "broken": broken})


def _who_set_the_cache(
    options: GlobalOptions, environ: Mapping[str, str], in_file: Path | None
) -> str:
    if options.cache_dir is not None:
        return "--cache-dir"
    if environ.get("DATACACHALOG_CACHE_DIR"):
        return "DATACACHALOG_CACHE_DIR"
    return "the default" if in_file is None else "catalog.yaml"


def _try_to_write(root: Path) -> bool:
    """Makes a file in the cache, or where the cache is to be; whether locks hold others off."""
    there = next(each for each in (root, *root.parents) if each.exists())
    with cache_errors(root), TemporaryDirectory(prefix=".doctor-", dir=there) as folder:
        probe, at_once = DirectoryCache(Path(folder)), timedelta(0)
        source = Uri.of_path("/probe")
        with probe.alone("", source, at_once) as first, probe.alone("", source, at_once) as second:
            return first and not second

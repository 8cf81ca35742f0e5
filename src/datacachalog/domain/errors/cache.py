"""Errors that whoever owns the disk can mend."""

from __future__ import annotations

from datacachalog.domain.errors.base import DatacachalogError


class CacheError(DatacachalogError):
    """The local cache could not do its part."""

    code = "cache"
    _hint = "name another folder: --cache-dir, DATACACHALOG_CACHE_DIR or cache.dir in catalog.yaml"

    def __init__(self, path: str, detail: str = "") -> None:
        self.path, self.detail = path, detail
        super().__init__(path, detail)

    def __str__(self) -> str:
        return f"the cache at {self.path!r} cannot be used: {self.detail}"


class CacheFullError(CacheError):
    """The disk or quota of the cache is used up."""

    code = "cache-full"
    _hint = "free space ('catalog cache clear'), or move it: --cache-dir, DATACACHALOG_CACHE_DIR"

    def __str__(self) -> str:
        return f"the cache at {self.path!r} is full: {self.detail}"


class CachePermissionError(CacheError):
    """The cache folder may not be written, or is not safe to use."""

    code = "cache-permission"


class UnsafeCacheError(CachePermissionError):
    """Others could change what is in the cache, and nobody has said that they may."""

    code = "cache-unsafe"
    _hint = (
        "if you trust all who may write there, say cache.shared: true in catalog.yaml or "
        "DATACACHALOG_SHARED=1; else name another folder (--cache-dir, DATACACHALOG_CACHE_DIR), "
        "or make this one your own (chown, chmod)"
    )

    def __str__(self) -> str:
        return f"the cache at {self.path!r} is not safe to use: {self.detail}"


class ViewError(DatacachalogError):
    """A dataset is in the cache, and its link in the view could not be made."""

    code = "view"
    _hint = "move what is there away, or name another folder with 'view:' in catalog.yaml"

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(path, problem)

    def __str__(self) -> str:
        return f"the link {self.path!r} cannot be made: {self.problem}"


class IntegrityError(CacheError):
    """Bytes are not what they are recorded or declared to be."""

    code = "integrity"
    _hint = (
        "fetch it again; if that does not help, the store or the disk is damaged, or a "
        "declared 'checksum' is out of date"
    )

    def __str__(self) -> str:
        return f"{self.path!r} does not hold the bytes it should: {self.detail}"

"""Every error that datacachalog raises on purpose, grouped by who can mend it.

DatacachalogError
├── CatalogError                  whoever writes the call or catalog.yaml
│   ├── CatalogNotFoundError
│   ├── CatalogInvalidError
│   ├── DatasetNotFoundError
│   ├── DatasetNameError
│   ├── ReadOnlyDatasetError
│   ├── InvalidUriError
│   ├── SettingError
│   └── LocalFileError
├── StorageError                  whoever runs the store, or gave us access to it
│   ├── ObjectNotFoundError
│   ├── VersionNotFoundError
│   ├── NotAnObjectError
│   ├── StorageAccessError
│   ├── StorageUnavailableError
│   ├── RemoteChangedError
│   ├── UnsupportedSchemeError
│   └── UnsupportedOperationError
├── ConflictError                 whoever pushed at the same time
├── CacheError                    whoever owns the disk
│   ├── CacheFullError
│   ├── CachePermissionError
│   └── IntegrityError
└── FetchAllError                 several of the above at once

Each class has a stable `code` (on the command line's JSON and in the docs), a message of one
sentence that names the thing, and a `hint` that says what to do next. Arguments are positional,
so that every error pickles. No message ever holds a credential.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class DatacachalogError(Exception):
    """Anything that datacachalog refuses or could not do."""

    code: ClassVar[str] = "error"
    _hint: ClassVar[str | None] = None

    def __init__(self, *args: object) -> None:
        """Has tracebacks end in the hint; attributes that it speaks of are to be set before."""
        super().__init__(*args)
        if self.hint:
            self.add_note(f"hint: {self.hint}")

    @property
    def hint(self) -> str | None:
        """What to do next, as one sentence without a full stop; None where nothing helps."""
        return self._hint


class CatalogError(DatacachalogError):
    """The call or the catalog file asks for something that cannot be."""

    code = "catalog"


class CatalogNotFoundError(CatalogError):
    """There is no catalog file where one was looked for."""

    code = "catalog-not-found"

    def __init__(self, where: str, similar: str | None = None) -> None:
        """`similar` is a file that was found there, whose name is nearly right."""
        self.where, self.similar = where, similar
        super().__init__(where, similar)

    def __str__(self) -> str:
        return f"no catalog.yaml {self.where}"

    @property
    def hint(self) -> str:
        if self.similar is not None:
            return f"{self.similar!r} is there: call it catalog.yaml, or name it with --catalog"
        return "run 'catalog init' to start one, or name it with --catalog or DATACACHALOG_CATALOG"


class CatalogInvalidError(CatalogError):
    """The catalog file breaks its format; every problem is listed at once."""

    code = "catalog-invalid"
    _hint = "'catalog init DIR' writes a catalog that names every key, to compare with"

    def __init__(self, file: str, problems: tuple[str, ...]) -> None:
        self.file, self.problems = file, problems
        super().__init__(file, problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        return f"{len(self.problems)} mistakes in {self.file}\n  " + "\n  ".join(self.problems)


class DatasetNotFoundError(CatalogError):
    """The catalog has no dataset of that name."""

    code = "dataset-not-found"

    def __init__(self, name: str, suggestions: tuple[str, ...] = ()) -> None:
        self.name, self.suggestions = name, suggestions
        super().__init__(name, suggestions)

    def __str__(self) -> str:
        return f"dataset {self.name!r} is not in the catalog"

    @property
    def hint(self) -> str:
        if not self.suggestions:
            return "'catalog list' shows the names there are"
        return f"did you mean {' or '.join(map(repr, self.suggestions))}?"


class DatasetNameError(CatalogError):
    """A dataset's name is not one that every disk, shell and URL can bear."""

    code = "dataset-name"

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem
        super().__init__(name, problem)

    def __str__(self) -> str:
        return f"dataset name {self.name!r} {self.problem}"


class ReadOnlyDatasetError(CatalogError):
    """The catalog says that this dataset is not to be pushed."""

    code = "read-only-dataset"
    _hint = "its entry in catalog.yaml says 'push: false'"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    def __str__(self) -> str:
        return f"dataset {self.name!r} may not be pushed"


class InvalidUriError(CatalogError):
    """A source is not an address that datacachalog can use."""

    code = "invalid-uri"

    def __init__(self, uri: str, problem: str) -> None:
        self.uri, self.problem = uri, problem
        super().__init__(uri, problem)

    def __str__(self) -> str:
        return f"source {self.uri!r} {self.problem}"


class SettingError(CatalogError):
    """A variable of the environment, or of a vendor's file, is not what it has to be."""

    code = "setting"
    _hint = "'catalog doctor' shows the settings that are in force"

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem
        super().__init__(name, problem)

    def __str__(self) -> str:
        return f"{self.name} {self.problem}"


class LocalFileError(CatalogError):
    """A file that was to be pushed cannot be read as one."""

    code = "local-file"
    _hint = "name one file that can be read; a relative path starts at the current folder"

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(path, problem)

    def __str__(self) -> str:
        return f"cannot push {self.path!r}: {self.problem}"


class StorageError(DatacachalogError):
    """A store did not give, or did not take, what it was asked to."""

    code = "storage"

    def __init__(self, uri: str, detail: str = "") -> None:
        self.uri, self.detail = uri, detail
        super().__init__(uri, detail)

    def __str__(self) -> str:
        return f"{self.uri!r}: {self.detail}"


class ObjectNotFoundError(StorageError):
    """There is no object at that URI."""

    code = "object-not-found"

    def __str__(self) -> str:
        return f"there is no object at {self.uri!r}" + (f" ({self.detail})" if self.detail else "")

    @property
    def hint(self) -> str:
        if "no bucket" in self.detail:
            return "check the bucket's name and the endpoint, which 'catalog doctor' shows"
        return "check the source in catalog.yaml, and that it was not deleted or renamed"


class VersionNotFoundError(StorageError):
    """The object exists, but has no such version, or had none at that time."""

    code = "version-not-found"
    _hint = "'catalog versions NAME' lists the versions that the store keeps"

    def __str__(self) -> str:
        return f"{self.uri!r} has no version {self.detail}"


class NotAnObjectError(StorageError):
    """The source is a folder, a device or a pipe, where one object was expected."""

    code = "not-an-object"

    def __str__(self) -> str:
        return f"{self.uri!r} is {self.detail or 'a folder'}, not a file"

    @property
    def hint(self) -> str:
        if self.detail in {"", "a folder"}:
            return "name one file in it; datasets of many files are not supported yet"
        return "write what comes out of it to a file, and name that one"


class StorageAccessError(StorageError):
    """The store refuses these credentials, or there are none."""

    code = "storage-access"

    @property
    def hint(self) -> str:
        if "://" not in self.uri:
            return "look at the permissions of the file, and of the folders above it"
        return "'catalog doctor' shows which credentials are used; 'anonymous: true' uses none"

    def __str__(self) -> str:
        return f"access to {self.uri!r} was refused: {self.detail}"


class StorageUnavailableError(StorageError):
    """The store cannot be reached, or is failing, after all retries."""

    code = "storage-unavailable"
    _hint = "check the network and the endpoint; 'catalog doctor' tries each store"

    def __str__(self) -> str:
        return f"{self.uri!r} cannot be reached: {self.detail}"


class RemoteChangedError(StorageError):
    """The object kept changing while it was read, so no consistent copy could be made."""

    code = "remote-changed"
    _hint = "try again when whoever writes it has finished"

    def __str__(self) -> str:
        return f"{self.uri!r} changed while it was read" + (
            f" ({self.detail})" if self.detail else ""
        )


class UnsupportedSchemeError(StorageError):
    """No adapter speaks the scheme of that URI."""

    code = "unsupported-scheme"

    def __str__(self) -> str:
        return f"no storage adapter for {self.uri!r} ({self.detail})"

    @property
    def hint(self) -> str:
        if self.uri.startswith(("s3a://", "s3n://")):
            return "did you mean 's3://'?"
        return "a package that provides it registers in the entry-point group datacachalog.storage"


class UnsupportedOperationError(StorageError):
    """This store cannot do safely what was asked."""

    code = "unsupported-operation"


class ConflictError(DatacachalogError):
    """The remote is not the revision that the push was based on; nothing was written."""

    code = "conflict"

    def __init__(self, uri: str, expected: str, found: str = "another revision") -> None:
        self.uri, self.expected, self.found = uri, expected, found
        super().__init__(uri, expected, found)

    def __str__(self) -> str:
        return f"{self.uri!r} was to be {self.expected}, but is {self.found}; nothing was pushed"

    @property
    def hint(self) -> str:
        if self.found == "absent":
            return 'it was deleted; to make it anew, push with expect="absent"'
        if self.expected == "absent":
            mine = 'it is there already; push with expect="cached" after catalog.fetch()'
        else:
            mine = "bring your change into what catalog.fetch() gives now, and push that"
        return f'{mine}, or overwrite whatever is there with expect="any"'


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


class IntegrityError(CacheError):
    """Bytes are not what they are recorded or declared to be."""

    code = "integrity"
    _hint = "fetch it again; if that does not help, the store or the disk is damaged"

    def __str__(self) -> str:
        return f"{self.path!r} does not hold the bytes it should: {self.detail}"


class FetchAllError(DatacachalogError):
    """Some datasets could not be fetched; the others were.

    `failures` maps each failed name to its error, `paths` each fetched name to its path.
    """

    code = "fetch-all"

    def __init__(
        self, failures: Mapping[str, DatacachalogError], paths: Mapping[str, Path]
    ) -> None:
        self.failures, self.paths = failures, paths
        super().__init__(failures, paths)
        if self.hint is None:
            for hint, names in self.hints.items():
                self.add_note(f"hint for {', '.join(names)}: {hint}")

    def __str__(self) -> str:
        total = len(self.failures) + len(self.paths)
        lines = [f"{len(self.failures)} of {total} datasets could not be fetched"]
        lines += [f"  {name}: {error}" for name, error in self.failures.items()]
        return "\n".join(lines)

    @property
    def hint(self) -> str | None:
        """The hint that all failures have in common."""
        hints = {error.hint for error in self.failures.values()}
        return hints.pop() if len(hints) == 1 else None

    @property
    def hints(self) -> dict[str, list[str]]:
        """Every hint there is, and the names of the datasets that it is for."""
        found: dict[str, list[str]] = {}
        for name, error in self.failures.items():
            if error.hint:
                found.setdefault(error.hint, []).append(name)
        return found

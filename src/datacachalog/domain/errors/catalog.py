"""Errors that whoever writes the call or catalog.yaml can mend."""

from __future__ import annotations

from datacachalog.domain.errors.base import DatacachalogError


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

    def __init__(self, name: str, key: str = "push: false") -> None:
        self.name, self.key = name, key
        super().__init__(name, key)

    @property
    def hint(self) -> str:
        return f"its entry in catalog.yaml says '{self.key}'"

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

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem
        super().__init__(name, problem)

    def __str__(self) -> str:
        return f"{self.name} {self.problem}"

    @property
    def hint(self) -> str:
        is_of_server = self.name.startswith("DATLAKE_SERVER_")
        if (self.name.startswith("DATLAKE_") and not is_of_server) or "config.ini" in self.name:
            return "a variable comes before the file, which 'datlake config set' and 'unset' change"
        return "'catalog doctor' shows the settings that are in force"


class LocalFileError(CatalogError):
    """A file that was to be pushed or uploaded cannot be read as one."""

    code = "local-file"
    _hint = "name one file that can be read; a relative path starts at the current folder"

    def __init__(self, path: str, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(path, problem)

    def __str__(self) -> str:
        return f"cannot read {self.path!r}: {self.problem}"


class LockfileError(CatalogError):
    """The lockfile cannot be read as one, or cannot be written."""

    code = "lockfile"

    def __init__(self, file: str, problem: str, line: int | None = None) -> None:
        """`line` is where its text is wrong; None where the text is not what is wrong."""
        self.file, self.problem, self.line = file, problem, line
        super().__init__(file, problem, line)

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.problem}"

    @property
    def hint(self) -> str | None:
        if self.line is None:
            return None
        if "conflict" in self.problem:
            return "keep the tables of both sides, of each dataset one; then run 'catalog lock'"
        return "bring it back from version control, or remove it and run 'catalog lock'"


class LockfileNotFoundError(CatalogError):
    """There is no lockfile, and one was to be kept to."""

    code = "lockfile-not-found"

    def __init__(self, file: str | None = None) -> None:
        """`file` is where it would be; None where no catalog file says where."""
        self.file = file
        super().__init__(file)

    def __str__(self) -> str:
        if self.file is None:
            return "a catalog that is made in Python has no lockfile"
        return f"there is no {self.file!r}"

    @property
    def hint(self) -> str:
        if self.file is None:
            return "write a catalog.yaml, and open it: its lockfile is beside it"
        return "run 'catalog lock', and put the lockfile under version control"


class LockMismatchError(CatalogError):
    """What is locked is not what is there, or not what the catalog asks for."""

    code = "lock-mismatch"

    def __init__(self, name: str, problem: str, advice: str) -> None:
        """`problem` ends the sentence that begins with the dataset; `advice` is the hint."""
        self.name, self.problem, self._advice = name, problem, advice
        super().__init__(name, problem, advice)

    def __str__(self) -> str:
        return f"dataset {self.name!r} {self.problem}"

    @property
    def hint(self) -> str:
        return self._advice

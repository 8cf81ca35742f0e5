"""Errors of reading a table: of the question, of what is installed, and of the bytes."""

from __future__ import annotations

from datacachalog.domain.errors.base import DatacachalogError


class ReadingError(DatacachalogError):
    """A table's bytes are not what can be read as its format, or have no such column."""

    code = "reading"

    def __init__(self, table_name: str, detail: str) -> None:
        self.table_name, self.detail = table_name, detail
        super().__init__(table_name, detail)

    def __str__(self) -> str:
        return f"table {self.table_name!r} cannot be read: {self.detail}"


class UnreadableFormatError(ReadingError):
    """Nothing here reads tables of that format."""

    code = "unreadable-format"
    _hint = "parquet, csv, jsonl and json are read; open the URI of any other with what knows it"

    def __str__(self) -> str:
        return f"table {self.table_name!r} is {self.detail!r}, which is not read here"


class QueryError(DatacachalogError):
    """A query is none, or none that can be answered."""

    code = "query"

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message, self._advice = message, hint
        super().__init__(message, hint)

    def __str__(self) -> str:
        return self.message

    @property
    def hint(self) -> str | None:
        return self._advice


class MissingExtraError(DatacachalogError):
    """A library is needed that is installed with an extra of this package."""

    code = "missing-extra"

    def __init__(self, wanted: str, library: str, extra: str) -> None:
        self.wanted, self.library, self.extra = wanted, library, extra
        super().__init__(wanted, library, extra)

    def __str__(self) -> str:
        return f"{self.wanted} needs {self.library}, which is not installed"

    @property
    def hint(self) -> str:
        return f"pip install 'datacachalog[{self.extra}]'"

"""What all parts of the client have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from datacachalog.adapters.api.reading import record
from datacachalog.adapters.api.transport import Ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacachalog.adapters.api.cached import CachedApi
    from datacachalog.adapters.api.http import HttpApi
    from datacachalog.adapters.api.metadata import MetadataCache
    from datacachalog.adapters.api.settings import ApiSettings
    from datacachalog.adapters.api.transport import Transport

T = TypeVar("T")


class Base:
    """A registry, and how it is asked."""

    settings: ApiSettings
    transport: Transport
    _http: HttpApi
    _cached: CachedApi

    @property
    def cache(self) -> MetadataCache:
        """What the registry has told this caller, kept in `cache_dir`: to be looked at, or cleared.

        `client.cache.clear()` removes all of it, and `client.cache.clear("people")` a table's.
        """
        return self._cached.cache

    def _one(self, kind: type[T], asked: Ask) -> T:
        return record(kind, self.transport.ask(asked).data)

    def _all(self, kind: type[T], path: str, **query: Any) -> Iterator[T]:
        """The lines of a list, a page at a time as they are needed."""
        for line in self.transport.pages(Ask("GET", path, {"limit": 1000, **query})):
            yield record(kind, line)


def without_nothing(**given: Any) -> dict[str, Any]:
    """The members of a body: what is None is not said."""
    return {name: value for name, value in given.items() if value is not None}

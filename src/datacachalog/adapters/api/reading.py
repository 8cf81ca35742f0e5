"""Records made of what a registry says, which may say more than they know."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from datacachalog.domain.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


def record(kind: type[T], data: object) -> T:
    """A record of the dataclass `kind`, whose members the JSON object `data` has by their names.

    Raises:
        ServerError: it has not, or of another type.
    """
    if not isinstance(data, dict):
        raise ServerError(f"the registry's answer is no {kind.__name__}")
    made: dict[str, object] = {}
    for each in dataclasses.fields(kind):  # type: ignore[arg-type]
        if each.name not in data:
            if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
                raise ServerError(f"the registry's {kind.__name__} has no {each.name!r}")
            continue
        made[each.name] = _value(kind, each.name, str(each.type), data[each.name])
    return kind(**made)


def text_of(data: object, name: str) -> str:
    """The text that the JSON object `data` has by this name.

    Raises:
        ServerError: it has none.
    """
    found = data.get(name) if isinstance(data, dict) else None
    if not isinstance(found, str):
        raise ServerError(f"the registry's answer has no {name!r}")
    return found


def _value(kind: type, name: str, wanted: str, value: Any) -> object:
    of, _, rest = wanted.partition(" | ")
    if value is None and rest == "None":
        return None
    known = of if of in _READERS else of.partition("[")[0]
    is_right, read = _READERS.get(known, (_anything, _as_it_is))
    try:
        if is_right(value):
            return read(value)
    except ValueError:
        pass
    raise ServerError(f"the registry's {kind.__name__} has a {name!r} that is no {wanted}")


def _anything(_: object) -> bool:
    return True


def _as_it_is(value: object) -> object:
    return value


def _of(*kinds: type) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)
    )


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _time(text: str) -> datetime:
    """A time of a registry, which says of which zone it is."""
    found = datetime.fromisoformat(text)
    try:
        found.astimezone(UTC)  # which programs that show it do
    except OverflowError as error:
        raise ValueError(text) from error
    if found.tzinfo is None:
        raise ValueError(text)
    return found


_READERS: Final[Mapping[str, tuple[Callable[[Any], bool], Callable[[Any], object]]]] = {
    "str": (_of(str), _as_it_is),
    "int": (_of(int), _as_it_is),
    "bool": (_of(bool), _as_it_is),
    "datetime": (_of(str), _time),
    "Mapping": (_of(dict), _as_it_is),
    "tuple": (_of(list), tuple),
    "tuple[str, ...]": (_is_texts, tuple),
}

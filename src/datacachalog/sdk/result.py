"""Results: a value or an error, and five functions that lead them on.

`Err` holds the exception itself, which nobody has raised yet. What the functions are given is
called as it is: a bug in there is raised, and never becomes an `Err`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Never, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
U = TypeVar("U")
E = TypeVar("E")
F = TypeVar("F")
T_co = TypeVar("T_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Ok(Generic[T_co]):
    """It worked, and this is what came of it.

    >>> Ok(3).value
    3
    """

    value: T_co


@dataclass(frozen=True, slots=True)
class Err(Generic[E_co]):
    """It did not, and this is why.

    >>> Err(LookupError("no such table")).error
    LookupError('no such table')
    """

    error: E_co

    @property
    def value(self) -> Never:
        """Raises the error: who asks for a value that is not there hears why.

        Raises:
            ValueError: the error is no exception.
        """
        if isinstance(self.error, BaseException):
            raise self.error
        raise ValueError(f"there is no value, but an error: {self.error!r}")


Result: TypeAlias = Ok[T] | Err[E]
"""`Ok` or `Err`; `isinstance` and `match` tell which."""


def map(result: Result[T, E], f: Callable[[T], U]) -> Result[U, E]:  # noqa: A001 - as in the plan
    """What `f` makes of the value; an error stays as it is.

    >>> map(Ok(3), lambda rows: rows + 1)
    Ok(value=4)
    """
    return Ok(f(result.value)) if isinstance(result, Ok) else result


def map_err(result: Result[T, E], f: Callable[[E], F]) -> Result[T, F]:
    """What `f` makes of the error; a value stays as it is.

    >>> map_err(Err(KeyError("id")), repr)
    Err(error="KeyError('id')")
    """
    return Err(f(result.error)) if isinstance(result, Err) else result


def and_then(result: Result[T, E], f: Callable[[T], Result[U, F]]) -> Result[U, E | F]:
    """The result that `f` has for the value; an error stays as it is.

    >>> and_then(Ok(0), lambda rows: Ok(rows) if rows else Err("there are no rows"))
    Err(error='there are no rows')
    """
    return f(result.value) if isinstance(result, Ok) else result


def tee(result: Result[T, E], f: Callable[[T], object]) -> Result[T, E]:
    """The same result, of whose value `f` was told; what `f` returns does not matter.

    >>> tee(Ok(3), print)
    3
    Ok(value=3)
    """
    if isinstance(result, Ok):
        f(result.value)
    return result


def recover(result: Result[T, E], f: Callable[[E], Result[U, F]]) -> Result[T | U, F]:
    """The result that `f` has for the error; a value stays as it is.

    >>> recover(Err(404), lambda status: Ok(0) if status == 404 else Err(status))
    Ok(value=0)
    """
    return f(result.error) if isinstance(result, Err) else result

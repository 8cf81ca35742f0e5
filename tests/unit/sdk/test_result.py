"""A value or an error, and what leads them on."""

from __future__ import annotations

import copy
import pickle
from typing import get_args

import pytest

from datacachalog.domain.errors import NotFoundError
from datacachalog.sdk.result import Err, Ok, Result, and_then, map, map_err, recover, tee  # noqa: A004

MISSING = NotFoundError("there is no table 'users'", 404)


def never(_):
    raise AssertionError("this was not to be called")


def broken(_):
    raise ZeroDivisionError("a bug of the user's")


def test_a_value_goes_through_the_functions_for_values():
    assert Ok(4) == map(Ok(3), lambda n: n + 1)
    assert Ok("3") == and_then(Ok(3), lambda n: Ok(str(n)))
    assert Ok(3) == map_err(Ok(3), never)
    assert Ok(3) == recover(Ok(3), never)


def test_an_error_passes_by_the_functions_for_values_as_the_object_that_it_is():
    error = Err(MISSING)

    for passed in (map(error, never), and_then(error, never), tee(error, never)):
        assert error is passed
    assert MISSING is error.error


def test_an_error_goes_through_the_functions_for_errors():
    assert Err(404) == map_err(Err(MISSING), lambda e: e.status)
    assert Ok("") == recover(Err(MISSING), lambda e: Ok("") if e.code == 404 else Err(e))
    assert Err(503) == recover(Err(503), lambda e: Ok("") if e == 404 else Err(e))


def test_tee_tells_of_the_value_and_keeps_it():
    told: list[int] = []

    assert Ok(3) == tee(Ok(3), told.append)
    assert [3] == told


@pytest.mark.parametrize(
    "led",
    [
        lambda: map(Ok(1), broken),
        lambda: and_then(Ok(1), broken),
        lambda: tee(Ok(1), broken),
        lambda: map_err(Err(1), broken),
        lambda: recover(Err(1), broken),
    ],
)
def test_a_bug_in_what_is_called_is_raised(led):
    with pytest.raises(ZeroDivisionError):
        led()


def test_who_asks_an_error_for_its_value_is_raised_the_error():
    with pytest.raises(NotFoundError) as raised:
        Err(MISSING).value  # noqa: B018 - it raises

    assert MISSING is raised.value


def test_an_error_that_is_no_exception_has_no_value_either():
    with pytest.raises(ValueError, match="'too few rows'"):
        Err("too few rows").value  # noqa: B018 - it raises


def test_match_takes_them_apart():
    match Ok(3):
        case Ok(value):
            assert 3 == value
    match Err(404):
        case Err(error):
            assert 404 == error


def test_they_are_values_that_cannot_be_changed():
    assert not {Ok(3)} & {Err(3)}
    assert {Ok(3)} == {Ok(3), Ok(3)}
    assert Ok([3]) == copy.deepcopy(Ok([3])) == pickle.loads(pickle.dumps(Ok([3])))  # noqa: S301
    with pytest.raises(AttributeError):
        Ok(3).value = 4  # type: ignore[misc] # that is what is tried


def test_a_result_can_be_written_where_annotations_are_evaluated():
    made = Result[str, LookupError]

    assert (Ok[str], Err[LookupError]) == get_args(made)

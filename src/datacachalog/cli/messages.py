"""Standard error: what went wrong, and what to do about it.

To people it is `error: …`, then `hint: …`. Under `--json` it is one line, a JSON object
`{"error": {"code", "message", "hint"}}`, still on standard error: standard output holds nothing
but data. An error that stands for several has them in `failures`, each of the same shape.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Final

from datacachalog.cli.text import escaped, has_colour, painted
from datacachalog.domain.errors import FetchAllError

if TYPE_CHECKING:
    from datacachalog.cli.output import JsonValue
    from datacachalog.domain.errors import DatacachalogError

_DATLAKE: Final = {"datlake", "datalake-cli"}
_AS_IN_PYTHON: Final = re.compile(r'expect="(\w+)"|catalog\.(\w+)\(\)')


def say(message: str) -> None:
    """Tells people something that is no data."""
    _write(escaped(message))


def warn(message: str) -> None:
    """Tells people of something that is wrong, but did not end the command."""
    _write(f"{_label('warning', 'yellow')} {_lines(message)}")


def tell(error: DatacachalogError, *, as_json: bool, called: str = "datlake") -> None:
    """Tells of the error that ended the command; its hints call `datlake` as it was `called`."""
    if as_json:
        _write(json.dumps({"error": record(error, called)}))
        return
    if not isinstance(error, FetchAllError):
        _tell_one(error, called)
        return
    _write(f"{_label('error', 'red')} {_summary(error)}")
    for name, failure in error.failures.items():
        _write(f"  {escaped(name)}: {_lines(str(failure))}")
    for hint, names in error.hints.items():
        whose = "" if hint == error.hint else f" for {escaped(', '.join(names))}"
        _write(f"{_label(f'hint{whose}', 'cyan')} {_lines(_as_typed(hint))}")


def interrupted(*, as_json: bool) -> None:
    """Tells that the command was ended from outside."""
    told = {"error": {"code": "interrupted", "message": "interrupted", "hint": None}}
    _write(json.dumps(told) if as_json else "interrupted")


def confess(bug: BaseException, *, as_json: bool) -> None:
    """Tells of an exception that nobody foresaw.

    Its own words may hold anything, a signed address too: they are shown only where asked for.
    """
    if os.environ.get("DATACACHALOG_DEBUG"):
        traceback.print_exception(bug)
    message = f"unexpected {type(bug).__name__}: this is a bug in datacachalog"
    hint = "run it again with DATACACHALOG_DEBUG=1, and report what it prints"
    if as_json:
        _write(json.dumps({"error": {"code": "bug", "message": message, "hint": hint}}))
        return
    _write(f"{_label('error', 'red')} {message}\n{_label('hint', 'cyan')} {hint}")


def record(error: DatacachalogError, called: str = "datlake") -> dict[str, JsonValue]:
    """An error as it is in JSON."""
    told: dict[str, JsonValue] = {
        "code": error.code,
        "message": _summary(error),
        "hint": hint_of(error, called),
    }
    if notes := _notes(error):
        told["notes"] = notes
    if isinstance(error, FetchAllError):
        told["failures"] = [{"name": name, **record(one)} for name, one in error.failures.items()]
    return told


def hint_of(error: DatacachalogError, called: str = "datlake") -> str | None:
    """What to do next, in the words of the command line.

    >>> from datacachalog.domain.errors import ConflictError
    >>> hint_of(ConflictError("s3://lake/a", '"1"', "absent"))
    "it was deleted; to make it anew, push with '--expect absent'"
    """
    return None if error.hint is None else _as_typed(error.hint, called)


def _as_typed(hint: str, called: str = "datlake") -> str:
    typed = _AS_IN_PYTHON.sub(
        lambda found: f"'--expect {found[1]}'" if found[1] else f"'catalog {found[2]}'", hint
    )
    return typed.replace("'datlake ", f"'{called} ") if called in _DATLAKE else typed


def _tell_one(error: DatacachalogError, called: str) -> None:
    _write(f"{_label('error', 'red')} {_lines(str(error))}")
    for note in _notes(error):
        _write(f"{_label('note', 'cyan')} {_lines(note)}")
    if hint := hint_of(error, called):
        _write(f"{_label('hint', 'cyan')} {_lines(hint)}")


def _summary(error: DatacachalogError) -> str:
    return str(error).partition("\n")[0] if isinstance(error, FetchAllError) else str(error)


def _notes(error: DatacachalogError) -> list[str]:
    """What was said of it besides; its hints are notes too, for whoever sees a traceback."""
    notes: list[str] = getattr(error, "__notes__", [])
    return [note for note in notes if not note.startswith(("hint: ", "hint for "))]


def _lines(message: str) -> str:
    """`message` made safe, with its further lines indented: none can pass for one of ours."""
    first, *others = escaped(message, keep="\n").split("\n")
    return "\n".join([first, *(f"  {line.removeprefix('  ')}" for line in others)])


def _label(word: str, colour: str) -> str:
    return painted(f"{word}:", colour, enabled=has_colour(sys.stderr, os.environ))


def _write(text: str) -> None:
    sys.stderr.write(f"{text}\n")

"""Changes to `config.ini`, which keep what else is there, comments too."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from configparser import ConfigParser, Error
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datacachalog.domain.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECTION: Final = "datlake"
_OWNERS_ONLY: Final = 0o700


def change(file: Path, name: str, text: str | None) -> None:
    """Writes one setting into `file`, or takes it out where `text` is None.

    The file is for its owner's eyes only, as is its folder where that has to be made. It is
    replaced as a whole: who reads it meanwhile sees it before or after. A link stays one.

    Raises:
        SettingError: it cannot be read or written.
    """
    try:
        file = file.resolve()
        file.parent.mkdir(_OWNERS_ONLY, parents=True, exist_ok=True)
        if file.exists() and not file.is_file():  # such as /dev/null, which must stay
            raise SettingError(str(file), "is no file that can be changed")
        with _alone_in(file.parent):
            before = file.read_text("utf-8") if file.exists() else ""
            _replace(file, edited(before, name, text, str(file)))
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "it is no text"
        raise SettingError(str(file), f"cannot be changed: {told}") from None


def edited(before: str, name: str, text: str | None, where: str) -> str:
    """The text of a file with one setting changed, and nothing else.

    Raises:
        SettingError: it is no such file, or so odd that it would not come to mean that.
    """
    wanted = _meaning(before, where)
    ours = wanted.setdefault(_SECTION, {})
    ours.pop(name, None)
    if text is not None:
        ours[name] = text
    after = _edited(before, name, text)
    if {_SECTION: {}} | _meaning(after, where) != wanted:
        raise SettingError(where, f"cannot be changed by a program: see to {name!r} by hand")
    return after


def _edited(before: str, name: str, text: str | None) -> str:
    added = [] if text is None else [f"{name} = {text}"]
    lines, end, is_ours, is_old = list[str](), None, False, False
    for line in before.splitlines():
        if line.startswith("["):
            is_ours = line.startswith(f"[{_SECTION}]")
        is_more = is_old and line[:1].isspace() and line.strip()
        is_old = is_ours and bool(
            is_more or re.match(rf"{re.escape(name)}\s*[=:]", line, re.IGNORECASE)
        )
        if not is_old:
            lines.append(line)
        if is_ours and line.strip():
            end = len(lines)
    if end is None and added:
        lines += [*([""] if lines else []), f"[{_SECTION}]"]
    lines[len(lines) if end is None else end : end] = added
    return "".join(f"{line}\n" for line in lines)


def _meaning(text: str, where: str) -> dict[str, dict[str, str]]:
    parser = ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(text, where)
    except Error as error:
        # Not the parser's own words: they quote lines, and one may hold the key.
        raise SettingError(where, f"cannot be read ({type(error).__name__})") from None
    return {name: dict(parser[name]) for name in parser.sections()}


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits until no other process changes files of the folder."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _replace(file: Path, text: str) -> None:
    # Made for its owner only, whatever the umask is.
    descriptor, partial = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(partial).replace(file)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise

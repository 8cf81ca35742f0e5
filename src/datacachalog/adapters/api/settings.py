"""How a registry is asked: the only room that knows the variables of the SDK, and its file.

An argument of the call beats the environment, which beats `~/.datlake/config.ini` (or the file
that `DATLAKE_CONFIG` names), which beats the default. The file has one section, `[datlake]`, with
the names of `ApiSettings`. A value that is empty is as if it were not there.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from datacachalog.domain.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from configparser import ConfigParser
    from urllib.parse import SplitResult

_YES, _NO = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_SECTION: Final = "datlake"
_STRATEGIES: Final = ("fail_fast", "continue_on_not_found", "suppress_transient")
_REACTIONS: Final = ("log_only", "raise", "emit_event")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often what may work later is asked again.

    At most `max` times after the first; the n-th time after `base_ms` x 2^n milliseconds, or as
    long as the registry says, with `jitter` up to half of it less. Nothing is asked again later
    than `deadline_ms` after the first time.

    >>> Retry.parse("max=5,base_ms=100")
    Retry(max=5, base_ms=100, jitter=True, deadline_ms=60000)
    """

    max: int = 3
    base_ms: int = 200
    jitter: bool = True
    deadline_ms: int = 60_000

    @classmethod
    def parse(cls, text: str) -> Retry:
        """What the text of the setting says; what it does not name is as it was.

        Raises:
            ValueError: it is none; it says why.
        """
        given: dict[str, Any] = {}
        for part in filter(None, (one.strip() for one in text.split(","))):
            name, _, value = (one.strip() for one in part.partition("="))
            if name not in {one.name for one in fields(cls)}:
                raise ValueError(f"has no {name!r}; it knows max, base_ms, jitter and deadline_ms")
            given[name] = _flag(value) if name == "jitter" else _count(value)
        return cls(**given)


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How a registry is asked; all times are in the unit that their name ends in.

    `api_key` may be a key of the registry or a token (JWT). `default_timeout_ms` is how long one
    request may be without any answer. The cache of metadata is in `cache_dir`; a table's latest
    snapshot is taken from it for `latest_ttl_s`, and then looked up again. `offline` asks nobody.
    """

    api_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    default_timeout_ms: int = 30_000
    retry: Retry = Retry()
    error_strategy: str = "fail_fast"
    on_error: str = "log_only"
    artifact_bucket: str = "objects"
    log_ship: bool = False
    cache_dir: Path = Path("~/.datlake/cache")
    latest_ttl_s: float = 0.0
    offline: bool = False

    @classmethod
    def found(cls, environ: Mapping[str, str], **given: object) -> ApiSettings:
        """What the call, the environment and the file say, in this order; None says nothing.

        Raises:
            SettingError: a value makes no sense, or the file cannot be read.
        """
        file = _of_file(config_file(environ), environ)
        told = {name: _parsed(name, text, f"{name} in config.ini") for name, text in file.items()}
        made = _with(cls(), told)
        texts = {name: environ.get(variable, "").strip() for name, variable in VARIABLES.items()}
        told = {name: _parsed(name, text, VARIABLES[name]) for name, text in texts.items() if text}
        made = _with(made, told)
        for name in given:
            if name not in VARIABLES:
                raise SettingError(name, "is no setting; see docs/sdk/python.md")
        said = {name: one for name, one in given.items() if one is not None and one != ""}
        made = _with(made, {name: _given(name, one) for name, one in said.items()})
        return replace(made, cache_dir=_path(str(made.cache_dir), environ))


def _with(settings: ApiSettings, told: Mapping[str, Any]) -> ApiSettings:
    """Settings with others before them.

    A key goes to no other registry than the one that it was given for, or with.
    """
    if settings.api_url not in {None, told.get("api_url", settings.api_url)}:
        settings = replace(settings, api_key=None)
    return replace(settings, **told)


VARIABLES: Final[Mapping[str, str]] = {
    "api_url": "DATLAKE_API_URL",
    "api_key": "DATLAKE_API_KEY",
    "default_timeout_ms": "DATLAKE_DEFAULT_TIMEOUT_MS",
    "retry": "DATLAKE_SDK_RETRY",
    "error_strategy": "DATLAKE_SDK_ERROR_STRATEGY",
    "on_error": "DATLAKE_SDK_ON_ERROR",
    "artifact_bucket": "DATLAKE_ARTIFACT_BUCKET",
    "log_ship": "DATLAKE_LOG_SHIP",
    "cache_dir": "DATLAKE_CACHE_DIR",
    "latest_ttl_s": "DATLAKE_LATEST_TTL_S",
    "offline": "DATLAKE_OFFLINE",
}
"""Which variable says what."""


def origins(environ: Mapping[str, str]) -> dict[str, str]:
    """Where each setting that is not as at first comes from: the variable, or the file.

    Raises:
        SettingError: the file cannot be read.
    """
    file = config_file(environ)
    told = {name: one for name, one in VARIABLES.items() if environ.get(one, "").strip()}
    return dict.fromkeys(_of_file(file, environ), str(file)) | told


def checked(name: str, text: str) -> str:
    """The text of a setting, as it may be in the file.

    Raises:
        SettingError: there is no such setting, or the text makes no sense.
    """
    if name not in VARIABLES:
        raise SettingError(f"{name!r} in config.ini", f"is none of {', '.join(VARIABLES)}")
    text = text.strip()
    if not text.isprintable() or not text:
        raise SettingError(f"{name} in config.ini", "must be one line of text")
    _parsed(name, text, f"{name} in config.ini")
    return text


def config_file(environ: Mapping[str, str]) -> Path:
    """The file of settings; it need not exist."""
    return _path(environ.get("DATLAKE_CONFIG") or "~/.datlake/config.ini", environ)


def _path(text: str, environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME")
    is_ours = text == "~" or text.startswith("~/")
    if home and is_ours:
        return Path(home + text[1:])
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        if is_ours:  # of a user whom nobody knows, as in containers, where it is this as a rule
            return Path(f"/{text[2:]}")
        raise SettingError(repr(text), "is in the home of a user who is not known") from None


def _is_there(file: Path) -> bool:
    """Whether there is such a file, as far as we may see.

    Programs that gave up being root have its home still; nothing in there is theirs.
    """
    try:
        return file.exists()
    except PermissionError:
        return False


def _of_file(file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    if not _is_there(file):
        if environ.get("DATLAKE_CONFIG"):
            raise SettingError("DATLAKE_CONFIG", f"names {str(file)!r}, which is not there")
        return {}
    # By name: most configure by variables, and need no parser.
    configparser = importlib.import_module("configparser")
    parser: ConfigParser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text("utf-8"), str(file))
    except (OSError, ValueError, configparser.Error) as error:
        # Not the parser's own words: they quote lines, and one may hold the key.
        raise SettingError(str(file), f"cannot be read ({type(error).__name__})") from None
    found = dict(parser[_SECTION]) if _SECTION in parser else {}
    for name in found:
        if name not in VARIABLES:
            raise SettingError(f"{name!r} in {str(file)!r}", "is no setting")
    return {name: text.strip() for name, text in found.items() if text.strip()}


def _parsed(name: str, text: str, where: str) -> Any:
    try:
        return _PARSERS[name](text.strip())
    except ValueError as error:
        raise SettingError(where, str(error)) from None


def _given(name: str, value: object) -> Any:
    if isinstance(value, Retry):
        value = ",".join(f"{one.name}={getattr(value, one.name)}" for one in fields(value))
    if not isinstance(value, str | int | float | PurePath):
        raise SettingError(name, f"must be text, not {type(value).__name__}")
    return _parsed(name, str(value), name)


def _flag(text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise ValueError(f"must be true or false, not {text!r}")
    return text.lower() in _YES


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"must be a number, not {text!r}")
    return int(text)


def _timeout(text: str) -> int:
    if (found := _count(text)) == 0:
        raise ValueError("must be more than 0")
    return found


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        raise ValueError(f"must be seconds, not {text!r}")
    return float(text)


def _url(text: str) -> str:
    """The address without what the API's own paths begin with.

    Not the value itself is told where it is wrong: it may hold a password.
    """
    parts = urlsplit(text)
    is_one = parts.scheme in {"http", "https"} and parts.hostname and _port_makes_sense(parts)
    if not is_one or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be an address such as https://datlake.example.com")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must hold no credentials, and nothing after its path")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/api/v1')}"


def _port_makes_sense(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _key(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("holds characters that no key has")
    return text


def _one_of(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in known:
            raise ValueError(f"must be {', '.join(known[:-1])} or {known[-1]}, not {text!r}")
        return text.lower()

    return parse


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "api_url": _url,
    "api_key": _key,
    "default_timeout_ms": _timeout,
    "retry": Retry.parse,
    "error_strategy": _one_of(*_STRATEGIES),
    "on_error": _one_of(*_REACTIONS),
    "artifact_bucket": str,
    "log_ship": _flag,
    "cache_dir": Path,
    "latest_ttl_s": _seconds,
    "offline": _flag,
}

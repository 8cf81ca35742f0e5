"""How a registry is asked: what beats what, and what makes no sense."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from datacachalog.adapters.api.settings import VARIABLES, ApiSettings, Retry, config_file
from datacachalog.domain.errors import SettingError

_A = {"DATLAKE_API_URL": "http://a"}
_SECRET = "dlk_aaaaaaaaaaaa_" + "s" * 43


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".datlake").mkdir()
    return tmp_path


def _config(home, text):
    (home / ".datlake" / "config.ini").write_text(text)


def _found(home, **given):
    environ = {"HOME": str(home)} | given.pop("environ", {})
    return ApiSettings.found(environ, **given)


def test_with_nothing_said_all_is_as_documented(home):
    found = _found(home)
    assert found == ApiSettings(cache_dir=home / ".datlake" / "cache")
    assert (None, None, 30_000, "fail_fast", "log_only", "objects", False, 0.0, False) == (
        found.api_url,
        found.api_key,
        found.default_timeout_ms,
        found.error_strategy,
        found.on_error,
        found.artifact_bucket,
        found.log_ship,
        found.latest_ttl_s,
        found.offline,
    )
    assert Retry(3, 200, jitter=True, deadline_ms=60_000) == found.retry


_SAID = {  # for each: a file's, a variable's, an argument's, and what this is
    "api_url": ("http://file", "http://variable:80/", "https://a/lake/api/v1/", "https://a/lake"),
    "api_key": ("dlk_file", "dlk_variable", "dlk_argument", "dlk_argument"),
    "default_timeout_ms": ("1", "2", 3, 3),
    "retry": ("max=1", "max=2", "max=5, jitter=off", Retry(5, jitter=False)),
    "error_strategy": (
        "fail_fast",
        "suppress_transient",
        "CONTINUE_ON_NOT_FOUND",
        "continue_on_not_found",
    ),
    "on_error": ("raise", "emit_event", "log_only", "log_only"),
    "artifact_bucket": ("f", "v", "a", "a"),
    "log_ship": ("true", "1", False, False),
    "cache_dir": ("/f", "/v", Path("/a"), Path("/a")),
    "latest_ttl_s": ("1", "2.5", 3, 3.0),
    "offline": ("no", "off", True, True),
}


@pytest.mark.parametrize("name", VARIABLES)
def test_an_argument_beats_a_variable_and_that_the_file(home, name):
    in_file, in_environ, argument, wanted = _SAID[name]
    _config(home, f"[datlake]\n{name} = {in_file}\n")
    only_file = getattr(_found(home), name)
    assert getattr(ApiSettings.found({"HOME": "/nowhere"}, **{name: in_file}), name) == only_file
    environ = {VARIABLES[name]: f" {in_environ} "}
    both = getattr(_found(home, environ=environ), name)
    assert getattr(ApiSettings.found({"HOME": "/nowhere"}, **{name: in_environ}), name) == both
    assert wanted == getattr(_found(home, environ=environ, **{name: argument}), name)


@pytest.mark.parametrize(
    ("file", "environ", "given", "key"),
    [
        ("api_url = http://a\napi_key = k", {}, {}, "k"),
        ("api_url = http://a\napi_key = k", {"DATLAKE_API_URL": "http://a/"}, {}, "k"),
        ("api_url = http://a\napi_key = k", {"DATLAKE_API_URL": "http://b"}, {}, None),
        ("api_url = http://a\napi_key = k", {}, {"api_url": "http://b"}, None),
        ("api_url = http://a\napi_key = k", {}, {"api_url": "http://b", "api_key": "l"}, "l"),
        ("api_url = http://a\napi_key = k", {"DATLAKE_API_KEY": "e"}, {}, "e"),
        ("api_key = k", {"DATLAKE_API_URL": "http://b"}, {}, "k"),
        (
            "",
            {"DATLAKE_API_URL": "http://a", "DATLAKE_API_KEY": "e"},
            {"api_url": "http://b"},
            None,
        ),
        ("", {"DATLAKE_API_KEY": "e"}, {"api_url": "http://b"}, "e"),
    ],
)
def test_a_key_goes_to_no_other_registry_than_its_own(home, file, environ, given, key):
    _config(home, f"[datlake]\n{file}\n")

    assert key == _found(home, environ=environ, **given).api_key


def test_what_is_empty_says_nothing(home):
    _config(home, "[datlake]\napi_url = http://file\napi_key =\n")
    found = _found(home, environ={"DATLAKE_API_URL": "  "}, api_url="", api_key=None)
    assert ("http://file", None) == (found.api_url, found.api_key)


def test_the_file_may_be_elsewhere(home, tmp_path):
    other = tmp_path / "other.ini"
    other.write_text("[datlake]\napi_url = http://other\n[more]\nx = y\n")
    _config(home, "[datlake]\napi_url = http://file\n")
    found = _found(home, environ={"DATLAKE_CONFIG": str(other)})
    assert "http://other" == found.api_url
    assert home / "x" == config_file({"HOME": str(home), "DATLAKE_CONFIG": "~/x"})
    with pytest.raises(SettingError, match="DATLAKE_CONFIG"):
        _found(home, environ={"DATLAKE_CONFIG": str(tmp_path / "none.ini")})


_SENSELESS = [
    *[
        ("api_url", one)
        for one in ("lake", "ftp://lake", "http://", "//lake", "http:/lake", "h ttp://x")
    ],
    *[
        ("api_url", one)
        for one in ("http://a b", "http://lake:x", "http://lake:99999", "http://l:0")
    ],
    *[
        ("api_url", one)
        for one in ("http://u:p@lake", "http://lake?x", "http://lake#x", "http://[1")
    ],
    *[("api_url", one) for one in ("http://la\nke", "http://läke", "http://lake/ x")],
    *[("api_key", one) for one in ("a b", "a\nb", "ä", "a\x00b", b"dlk_x", ["dlk_x"])],
    *[("default_timeout_ms", one) for one in ("0", "-1", "1.5", "x", "1e3", True, 0, "9" * 12)],
    *[
        ("retry", one)
        for one in ("3", "max=-1", "max", "base=3", "jitter=maybe", "max=1;base_ms=2")
    ],
    *[("retry", one) for one in (Retry(max=-1), Retry(base_ms=-5), {"max": 3})],
    *[("error_strategy", one) for one in ("ignore", "fail fast", True)],
    ("on_error", "panic"),
    *[("log_ship", one) for one in ("maybe", "2", 3)],
    *[("latest_ttl_s", one) for one in ("-1", "inf", "nan", "1s", -1, float("inf"), float("nan"))],
    ("offline", "sometimes"),
]


@pytest.mark.parametrize(("name", "value"), _SENSELESS)
def test_what_makes_no_sense_is_refused_wherever_it_is_said(home, name, value):
    with pytest.raises(SettingError, match=name):
        _found(home, **{name: value})
    if isinstance(value, str) and "\n" not in value and "\0" not in value:
        with pytest.raises(SettingError, match=VARIABLES[name]):
            _found(home, environ={VARIABLES[name]: value})
        if value.strip() and not value.startswith(("[", "#")):
            _config(home, f"[datlake]\n{name} = {value}\n")
            with pytest.raises(SettingError, match=rf"{name} in config.ini"):
                _found(home)


@pytest.mark.parametrize("value", ["x", 3, None, True])
def test_a_setting_that_is_none_is_refused(home, value):
    with pytest.raises(SettingError, match="colour is no setting"):
        _found(home, colour=value)
    _config(home, "[datlake]\ncolour = red\n")
    with pytest.raises(SettingError, match="colour"):
        _found(home)


@pytest.mark.parametrize(
    "text",
    [
        f"api_key = {_SECRET}",
        f"[datlake]\n{_SECRET}",
        f"[datlake]\napi_key = {_SECRET}\napi_key = {_SECRET}",
        f"[datlake]\napi_key = {_SECRET} and more",
        f"[datlake]\napi_key = {_SECRET}\n  {_SECRET}",
        f"[datlake]\napi_url = http://u:{_SECRET}@lake",
        f"[datlake]\napi_url = {_SECRET}",
        "[datlake]\napi_key = \x00",
    ],
)
def test_a_file_that_is_none_is_told_without_what_is_in_it(home, text):
    _config(home, text)
    with pytest.raises(SettingError) as caught:
        _found(home)
    assert _SECRET not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__


def test_a_file_that_is_no_text_or_no_file_is_told(home):
    (home / ".datlake" / "config.ini").write_bytes(b"\xff\xfe[datlake]")
    with pytest.raises(SettingError, match="cannot be read"):
        _found(home)
    (home / ".datlake" / "config.ini").unlink()
    (home / ".datlake" / "config.ini").mkdir()
    with pytest.raises(SettingError, match="cannot be read"):
        _found(home)


@pytest.fixture
def nobody():
    """Has the test be of a user whom nobody knows, where it is root's."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(54_321, 54_321, 0)
    yield
    os.setresuid(0, 0, 0)


@pytest.fixture
def closed(tmp_path):
    """A home that nobody may look into but root, whose it was."""
    made = tmp_path / "closed"
    made.mkdir(0o000)
    yield made
    made.chmod(0o700)


def test_a_home_that_we_may_not_look_into_says_nothing(closed, nobody):
    wanted = ApiSettings(api_url="http://lake", cache_dir=closed / ".datlake" / "cache")
    assert wanted == _found(closed, api_url="http://lake")
    with pytest.raises(SettingError, match="not there"):
        _found(closed, environ={"DATLAKE_CONFIG": str(closed / "config.ini")})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a user whom nobody knows")
@pytest.mark.usefixtures("nobody")
def test_who_has_no_home_has_the_root_of_all(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    assert Path("/.datlake/cache") == ApiSettings.found({}).cache_dir
    assert Path("/.datlake/config.ini") == config_file({})


def test_the_home_of_a_user_who_is_not_known_is_told(home):
    with pytest.raises(SettingError, match="who is not known"):
        _found(home, cache_dir="~nobody-knows-me/cache")


def test_a_percent_sign_is_one(home):
    _config(home, "[datlake]\napi_key = a%%b%(x)s\n")
    assert "a%%b%(x)s" == _found(home).api_key


def test_the_key_is_in_no_text_of_settings(home):
    found = _found(home, api_key=_SECRET)
    assert _SECRET not in f"{found} {found!r}"
    assert found == pickle.loads(pickle.dumps(found))  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Retry()),
        ("max=0", Retry(max=0)),
        (" max = 7 ,, base_ms=1 ", Retry(max=7, base_ms=1)),
        ("jitter=FALSE,deadline_ms=5", Retry(jitter=False, deadline_ms=5)),
        ("max=3,base_ms=200,jitter=true", Retry()),
    ],
)
def test_a_retry_says_what_it_says(text, wanted):
    assert wanted == Retry.parse(text)

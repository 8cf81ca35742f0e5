"""Changes to a file of settings change one of them, whatever else is in the file."""

from __future__ import annotations

from configparser import ConfigParser

from hypothesis import given
from hypothesis import strategies as st

from datacachalog.adapters.api.config_file import edited
from datacachalog.domain.errors import SettingError

LINES = [
    "",
    "  ",
    "# api_url = http://commented",
    "; more",
    "[datlake]",
    "[other]",
    "[DATLAKE]",
    "[datlake] # ours",
    "[DEFAULT]",
    "api_url = http://old",
    "API_URL: http://old",
    "api_url=",
    "api_url_too = x",
    "retry = max=1",
    "  , base_ms = 3",
    "  [datlake]",
    " api_url = indented",
    "offline",
]
FILES = st.lists(st.sampled_from(LINES), max_size=12).map("\n".join)


def meaning(text):
    parser = ConfigParser(interpolation=None, default_section="")
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


@given(FILES, st.sampled_from(["http://new", "", None]))
def test_one_setting_is_changed_or_none(before, text):
    try:
        after = edited(before, "api_url", text, "here")
    except SettingError:
        return  # the file stays as it is

    wanted = meaning(before)
    wanted.setdefault("datlake", {}).pop("api_url", None)
    if text is not None:
        wanted["datlake"]["api_url"] = text
    assert wanted == {"datlake": {}} | meaning(after)
    kept = [line for line in before.splitlines() if line.lstrip().startswith(("#", ";"))]
    assert kept == [line for line in after.splitlines() if line.lstrip().startswith(("#", ";"))]


@given(FILES)
def test_the_same_change_again_changes_nothing(before):
    try:
        once = edited(before, "api_url", "http://new", "here")
    except SettingError:
        return

    assert once == edited(once, "api_url", "http://new", "here")


def test_ordinary_files_are_not_refused():
    before = "\n".join(
        [*LINES[:5], "api_url = x", "", "retry = max=1", "  , base_ms = 3", "[other]"]
    )

    after = edited(before, "api_url", "http://new", "here")

    assert "http://new" == meaning(after)["datlake"]["api_url"]

"""`datlake config`: what holds, where it comes from, and the file that keeps it."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datacachalog.adapters.api.config_file import edited
from datacachalog.adapters.api.settings import ApiSettings
from tests.integration.sdk.typing_commands import SCRIPTS, typed

KEY = f"dlk_{'k' * 12}_{'s' * 43}"


@pytest.fixture
def file(nobodys_home):
    """Where the settings are kept; nothing is there yet."""
    return nobodys_home / ".datlake" / "config.ini"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def rows():
    return {line.split("\t")[0]: line.split("\t")[1:] for line in typed("config").lines()}


def test_what_holds_is_shown_with_where_it_comes_from(file):
    typed("config", "set", "api_url", "https://lake.example.com/api/v1/")
    typed("config", "set", "retry", "max=7")

    told = typed("config", "--json", DATLAKE_OFFLINE="yes", DATLAKE_SDK_RETRY="max=1").json()

    found = {one["name"]: (one["value"], one["origin"]) for one in told}
    assert ("https://lake.example.com", str(file)) == found["api_url"]
    assert (True, "DATLAKE_OFFLINE") == found["offline"]
    assert ("max=1,base_ms=200,jitter=true,deadline_ms=60000", "DATLAKE_SDK_RETRY") == (
        found["retry"]
    )
    assert (None, "default") == found["api_key"]
    assert (30_000, "default") == found["default_timeout_ms"]
    assert ["max=7,base_ms=200,jitter=true,deadline_ms=60000", str(file)] == rows()["retry"]
    assert ["false", "default"] == rows()["offline"]


@pytest.mark.parametrize(
    ("key", "shown"), [(KEY, f"dlk_{'k' * 12}_…"), ("a.b.c", "a token"), ("dlk_odd", "a token")]
)
def test_of_a_key_only_its_id_is_shown(key, shown):
    done = typed("config", DATLAKE_API_KEY=key)

    assert f"api_key\t{shown}\tDATLAKE_API_KEY" in done.lines()
    assert "s" * 43 not in done.stdout + typed("config", "--json", DATLAKE_API_KEY=key).stdout


@pytest.mark.parametrize("value", [["-"], []])
def test_a_key_is_read_from_standard_input_for_its_owners_eyes_only(file, value):
    done = typed("config", "set", "api_key", *value, stdin=f"{KEY}\n")

    assert (0, "", "") == done
    assert (0o600, 0o700) == (mode(file), mode(file.parent))
    assert KEY == ApiSettings.found(os.environ).api_key
    assert [file] == list(file.parent.iterdir())


def test_a_key_that_is_typed_is_not_shown(file):
    child, terminal = pty.fork()
    if child == 0:
        os.execv(SCRIPTS / "datlake", ["datlake", "config", "set", "api_key"])  # noqa: S606 - our own
    shown = os.read(terminal, 1024)
    os.write(terminal, f"{KEY}\n".encode())
    try:
        while block := os.read(terminal, 1024):
            shown += block
    except OSError:  # EIO: it has ended
        pass
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)

    assert shown.startswith(b"api_key: ")
    assert KEY.encode() not in shown
    assert f"api_key = {KEY}" in file.read_text()


def test_what_else_is_in_the_file_stays(file):
    file.parent.mkdir()
    file.write_text(
        "# ours\n[other]\nx = 1\n\n[datlake]\n# the lake\napi_url: http://old\n  \noffline = no\n\n"
        "[more]\napi_url = y\n"
    )
    file.chmod(0o644)

    typed("config", "set", "api_url", "http://new")
    typed("config", "set", "latest_ttl_s", "60")
    typed("config", "unset", "offline")

    assert (
        "# ours\n[other]\nx = 1\n\n[datlake]\n# the lake\n  \napi_url = http://new\n"
        "latest_ttl_s = 60\n\n[more]\napi_url = y\n"
    ) == file.read_text()
    assert 0o600 == mode(file)


def test_the_file_may_be_another_one_or_a_link(tmp_path, file):
    other = tmp_path / "dotfiles" / "lake.ini"
    typed("--config", str(other), "config", "set", "offline", "true")
    file.parent.mkdir()
    file.symlink_to(other)

    typed("config", "set", "api_url", "http://lake")

    assert file.is_symlink()
    assert "[datlake]\noffline = true\napi_url = http://lake\n" == other.read_text()


@pytest.mark.parametrize(
    ("args", "stdin", "told"),
    [
        (["set", "api_uri", "x"], "", "'api_uri' is not one of"),
        (["set", "api_url", "lake"], "", "must be an address"),
        (["set", "api_url", "a\nb"], "", "must be one line"),
        (["set", "api_key"], "", "there is no value of api_key"),
        (["set", "api_key", "-"], "a b\n", "characters that no key has"),
        (["set", "retry", "most=3"], "", "has no 'most'"),
        (["set"], "", "missing argument"),
    ],
)
def test_what_makes_no_sense_is_not_kept(file, args, stdin, told):
    done = typed("config", *args, stdin=stdin)

    assert (2, "", True) == (done.code, done.stdout, told in done.stderr), done
    assert not file.exists()


def test_a_setting_that_does_not_hold_is_told_of(file):
    done = typed("config", "set", "api_url", "http://new", DATLAKE_API_URL="http://old")

    assert (0, "DATLAKE_API_URL is set, and comes before the file\n") == (done.code, done.stderr)


def test_a_setting_that_is_none_is_taken_out_again(file):
    file.parent.mkdir()
    file.write_text("[datlake]\napi_uri = http://lake\n")
    assert "'api_uri'" in typed("config").stderr

    assert (0, "", "") == typed("config", "unset", "api_uri")

    assert 0 == typed("config").code


def test_a_file_that_is_none_stays_as_it_is(file):
    file.parent.mkdir()
    for text in ("no section\n", "[datlake]\napi_key = a\napi_key = b\n", "[datlake\n"):
        file.write_text(text)

        done = typed("config", "set", "offline", "true")

        assert (2, text) == (done.code, file.read_text()), done
    file.write_bytes(b"\xff")
    assert "it is no text" in typed("config", "set", "offline", "true").stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(file):
    file.parent.mkdir(0o500)

    done = typed("config", "set", "offline", "true")

    assert (2, True) == (done.code, str(file) in done.stderr)


def test_a_folder_that_is_none_is_told(nobodys_home):
    (nobodys_home / ".datlake").write_text("")

    done = typed("config", "set", "offline", "true")

    assert (2, True) == (done.code, "cannot be changed" in done.stderr)


def test_what_is_no_file_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    done = typed("config", "set", "offline", "true", DATLAKE_CONFIG=str(pipe))

    assert (2, True) == (done.code, "is no file" in done.stderr), done
    assert pipe.is_fifo()


def test_two_that_change_it_at_once_both_do(file):
    names = {"offline": "true", "api_url": "http://lake", "retry": "max=9", "log_ship": "true"}
    with ThreadPoolExecutor(len(names)) as pool:
        done = list(pool.map(lambda one: typed("config", "set", *one), names.items()))

    assert [0] * len(names) == [one.code for one in done]
    assert {f"{name} = {value}" for name, value in names.items()} == set(
        file.read_text().splitlines()[1:]
    )


def test_a_value_of_several_lines_is_replaced_as_a_whole():
    before = "[datlake]\nretry = max=1\n  ,base_ms=3\noffline = no\n"

    assert "[datlake]\noffline = no\n" == edited(before, "retry", None, "here")
    assert "[datlake]\noffline = no\nretry = max=2\n" == edited(before, "retry", "max=2", "here")


def test_it_needs_nothing_but_the_file(file):
    """A key is put there before there is a network."""
    script = (
        "import sys; sys.modules['urllib3'] = None; sys.argv = ['datlake', 'config', 'set', "
        "'offline', 'true']; from datacachalog.cli.main import datlake; datlake()"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, env=os.environ)

    assert (0, True) == (done.returncode, Path(file).exists())

"""What is remembered of servers."""

from __future__ import annotations

import os
import time

import pytest

from datacachalog.adapters.storage.verdicts import Verdicts

SERVER = "http://127.0.0.1:9000 lake honours conditions"
DAY_S = 24 * 3600


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "servers"


def test_what_one_process_found_the_next_one_knows(folder):
    Verdicts(folder).keep(SERVER)

    assert Verdicts(folder).has(SERVER)
    assert not Verdicts(folder).has("http://127.0.0.1:9001 lake honours conditions")


@pytest.mark.parametrize("age_s", [DAY_S + 1, -60], ids=["of yesterday", "from the future"])
def test_what_is_not_of_today_is_not_believed(folder, age_s):
    Verdicts(folder).keep(SERVER)
    (file,) = folder.iterdir()
    when = time.time() - age_s
    os.utime(file, (when, when))

    assert not Verdicts(folder).has(SERVER)


def test_a_verdict_on_another_server_is_not_believed(folder):
    Verdicts(folder).keep(SERVER)
    (file,) = folder.iterdir()
    file.write_text("something else")

    assert not Verdicts(folder).has(SERVER)


def test_a_link_is_not_followed(folder, tmp_path):
    Verdicts(folder).keep(SERVER)
    (file,) = folder.iterdir()
    elsewhere = file.rename(tmp_path / "elsewhere")
    file.symlink_to(elsewhere)

    assert not Verdicts(folder).has(SERVER)


def test_a_pipe_is_not_waited_for(folder):
    Verdicts(folder).keep(SERVER)
    (file,) = folder.iterdir()
    file.unlink()
    os.mkfifo(file)

    assert not Verdicts(folder).has(SERVER)


def test_a_verdict_is_renewed(folder):
    verdicts = Verdicts(folder)
    verdicts.keep(SERVER)
    (file,) = folder.iterdir()
    os.utime(file, (0, 0))

    verdicts.keep(SERVER)

    assert verdicts.has(SERVER)
    assert [file] == list(folder.iterdir())


def test_without_a_folder_nothing_is_remembered():
    verdicts = Verdicts(None)
    verdicts.keep(SERVER)

    assert not verdicts.has(SERVER)


def test_a_folder_that_cannot_be_made_is_no_trouble(tmp_path):
    (tmp_path / "file").touch()
    verdicts = Verdicts(tmp_path / "file" / "servers")
    verdicts.keep(SERVER)

    assert not verdicts.has(SERVER)


def test_a_verdict_that_cannot_be_replaced_leaves_nothing_behind(folder):
    verdicts = Verdicts(folder)
    verdicts.keep(SERVER)
    (file,) = folder.iterdir()
    file.unlink()
    file.mkdir()

    verdicts.keep(SERVER)

    assert [file] == list(folder.iterdir())

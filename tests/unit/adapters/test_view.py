"""A folder of links: what it makes, what it leaves alone, and what it costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.memory import MemoryCache
from datacachalog.adapters.view import DirectoryView
from datacachalog.domain.errors import ViewError
from datacachalog.testing.sources import NOON, SECOND, publish
from datacachalog.testing.view_contract import ViewContract
from tests.unit.adapters.other_processes import as_nobody, open_folder

__all__ = ["open_folder"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "project" / "current"


@pytest.fixture
def view(folder):
    return DirectoryView(folder)


@pytest.fixture
def entries(tmp_path):
    cache = DirectoryCache(tmp_path / "cache")
    return [publish(cache, data, at=NOON + n * SECOND) for n, data in enumerate([b"1st", b"2nd"])]


class TestDirectoryView(ViewContract):
    @pytest.fixture
    def view(self, folder):
        return DirectoryView(folder)

    @pytest.fixture
    def place(self, folder):
        return lambda name: folder / name

    @pytest.fixture(params=["directory", "memory"])
    def cache(self, request, tmp_path):
        if request.param == "directory":
            yield DirectoryCache(tmp_path / "contract")
            return
        with MemoryCache() as cache:
            yield cache


class TestTheFolder:
    def test_one_that_is_made_is_ignored_by_git(self, view, folder, entries):
        view.show("a.csv", entries[0].path)

        assert "*\n" == (folder / ".gitignore").read_text()
        assert {".gitignore", "a.csv"} == {path.name for path in folder.iterdir()}

    def test_one_that_was_there_is_git_s_business(self, view, folder, entries):
        folder.mkdir(parents=True)
        (folder / "notes.txt").touch()

        view.show("a.csv", entries[0].path)

        assert {"notes.txt", "a.csv"} == {path.name for path in folder.iterdir()}

    @pytest.mark.parametrize("kind", ["file", "link to nothing"])
    def test_one_that_is_no_folder_is_told(self, view, folder, entries, kind):
        folder.parent.mkdir()
        if kind == "file":
            folder.write_bytes(b"mine")
        else:
            folder.symlink_to(folder.parent / "nowhere")

        with pytest.raises(ViewError, match="/a"):
            view.show("a.csv", entries[0].path)

        assert (kind != "file") == folder.is_symlink()

    def test_one_that_may_not_be_written_serves_on_and_tells_of_what_is_old(self, open_folder):
        cache, view = DirectoryCache(open_folder / "cache"), DirectoryView(open_folder / "view")
        old, new = publish(cache, b"old"), publish(cache, b"new", at=NOON + SECOND)
        view.show("a.csv", old.path)
        program = """
            from datacachalog.adapters.view import DirectoryView
            from datacachalog.domain.errors import ViewError
            view = DirectoryView(Path(sys.argv[1]))
            print(view.show("a.csv", Path(sys.argv[2])))
            for name in ("a.csv", "b.csv"):
                try:
                    view.show(name, Path(sys.argv[3]))
                except ViewError as error:
                    print(error.problem)
        """

        told = as_nobody(program, open_folder / "view", old.path, new.path)

        assert ["False", "Permission denied", "Permission denied"] == told
        assert b"old" == (open_folder / "view" / "a.csv").read_bytes()

    def test_a_cache_that_was_moved_is_no_reason_to_keep_its_links(self, view, entries, tmp_path):
        view.show("a.csv", entries[0].path)
        other = publish(DirectoryCache(tmp_path / "other"), b"other")

        assert view.show("a.csv", other.path)


class TestLooks:
    def test_a_link_that_is_right_costs_one_look(self, view, entries, monkeypatch):
        view.show("a.csv", entries[0].path)
        looks, readlink = [], os.readlink

        def look(path):
            looks.append(path)
            return readlink(path)

        for call in ("stat", "lstat", "symlink", "replace", "mkdir", "listdir", "open"):
            monkeypatch.delattr(os, call)
        monkeypatch.setattr(os, "readlink", look)
        is_changed = view.show("a.csv", entries[0].path)
        monkeypatch.undo()

        assert (False, [f"{view.folder}/a.csv"]) == (is_changed, looks)

    def test_links_are_told_with_where_they_lead(self, view, folder, entries):
        assert {} == view.links()
        view.show("a.csv", entries[0].path)
        view.show("b.csv", entries[1].path)
        (folder / "mine.csv").touch()
        (folder / "elsewhere.csv").symlink_to("/etc/passwd")
        entries[1].path.parent.chmod(0o755)
        entries[1].path.unlink()

        assert {"a.csv": True, "b.csv": False} == view.links()

    def test_a_folder_that_cannot_be_read_is_told(self, view, folder):
        folder.parent.mkdir()
        folder.touch()

        with pytest.raises(ViewError, match="Not a directory"):
            view.links()

    def test_what_is_in_a_links_place_is_told(self, view, folder, entries):
        view.refuse_others("a.csv")
        view.show("a.csv", entries[0].path)
        view.refuse_others("a.csv")
        (folder / "b.csv").mkdir()

        with pytest.raises(ViewError, match="something else"):
            view.refuse_others("b.csv")


class TestLeftBehind:
    def test_what_a_killed_process_was_about_to_rename_goes(self, view, folder, entries):
        view.show("a.csv", entries[0].path)
        program = """
import os, signal, sys
from pathlib import Path
from datacachalog.adapters.view import DirectoryView
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
DirectoryView(Path(sys.argv[1])).show("a.csv", Path(sys.argv[2]))
"""
        command = [sys.executable, "-c", program, folder, entries[1].path]
        done = subprocess.run(command, check=False, timeout=60)
        assert -signal.SIGKILL == done.returncode
        assert 3 == len(list(folder.iterdir()))
        assert b"1st" == (folder / "a.csv").read_bytes()

        view.show("a.csv", entries[1].path)

        assert {".gitignore", "a.csv"} == {path.name for path in folder.iterdir()}
        assert ["a.csv"] == list(view.links())

    def test_nothing_is_left_where_a_rename_fails(self, view, folder, entries, monkeypatch):
        view.show("a.csv", entries[0].path)

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(ViewError, match="No space left"):
            view.show("a.csv", entries[1].path)

        assert {".gitignore", "a.csv"} == {path.name for path in folder.iterdir()}

    def test_one_that_others_make_meanwhile_is_taken(self, view, folder, entries, monkeypatch):
        """Between the look, which finds nothing, and the link another process makes its own."""
        symlink = os.symlink

        def late(target, link):
            monkeypatch.undo()
            folder.mkdir(parents=True)
            symlink(entries[1].path, link)
            symlink(target, link)

        monkeypatch.setattr(os, "symlink", late)

        assert view.show("a.csv", entries[0].path)
        assert b"1st" == (folder / "a.csv").read_bytes()

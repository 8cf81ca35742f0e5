"""Files that are uploaded and downloaded, whatever happens to them meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from datacachalog.domain.errors import (
    ApiConflictError,
    AuthError,
    ForbiddenError,
    LocalFileError,
    NotFoundError,
    ServerError,
    TransientNetworkError,
    ValidationError,
)
from datlake_sdk import DatlakeClient
from tests.servers.exchange import Reply, Script

_BIG = 40 << 20


@pytest.fixture
def name(table):
    return f"up/{table}/a file.bin"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3_000_000))
    return path


class Display:
    """What a display of progress was told."""

    def __init__(self):
        self.sizes, self.done_bytes = [], 0

    def total(self, size_bytes):
        self.sizes.append(size_bytes)

    def advance(self, size_bytes):
        self.done_bytes += size_bytes


def test_a_file_goes_there_and_back(client, file, name, tmp_path, server):
    up, down = Display(), Display()
    uri = client.upload_object("objects", name, file, progress=up)
    found = client.download_object("objects", name, tmp_path / "back", progress=down)
    assert file.read_bytes() == found.read_bytes() == (server.objects / name).read_bytes()
    assert f"file://{server.objects / name}" == uri
    for display in (up, down):
        assert ([3_000_000], 3_000_000) == (display.sizes, display.done_bytes)
    assert [tmp_path / "back", file] == sorted(tmp_path.iterdir())


def test_an_empty_file_is_one(client, name, tmp_path):
    (tmp_path / "empty").touch()
    client.upload_object("objects", name, tmp_path / "empty")
    assert b"" == client.download_object("objects", name, tmp_path / "x").read_bytes()


def test_only_as_a_new_one(client, file, name):
    client.upload_object("objects", name, file, replace=False)
    with pytest.raises(ApiConflictError):
        client.upload_object("objects", name, file, replace=False)
    client.upload_object("objects", name, file)


@pytest.mark.parametrize(
    "script",
    [Script(cut_up_after=0), Script(cut_up_after=1_000_000), Script(is_lost=True)],
    ids=["before", "within", "after"],
)
@pytest.mark.parametrize("replace", [True, False])
def test_an_upload_that_is_cut_is_sent_again(client, proxy, file, name, server, script, replace):
    scripts = [script, script]
    proxy.hook = lambda _: scripts.pop() if scripts else None
    client.upload_object("objects", name, file, replace=replace)
    assert file.read_bytes() == (server.objects / name).read_bytes()
    assert 3 == len(proxy.requests)


def test_a_download_that_is_cut_leaves_nothing(client, proxy, file, name, tmp_path):
    client.upload_object("objects", name, file)
    before = client.download_object("objects", name, tmp_path / "back").read_bytes()
    proxy.hook = lambda _: Script(cut_after=500_000)
    for _ in range(2):
        with pytest.raises(TransientNetworkError, match="cut"):
            client.download_object("objects", name, tmp_path / "back")
    proxy.hook = lambda _: None
    assert before == (tmp_path / "back").read_bytes()
    assert [tmp_path / "back", file] == sorted(tmp_path.iterdir())
    with pytest.raises(NotFoundError):
        client.download_object("objects", "up/nothing", tmp_path / "back")


@pytest.mark.parametrize(
    "script",
    [
        Script(reply=Reply(200, b"<html>Who are you?</html>", {"Content-Type": "text/html"})),
        Script(reply=Reply(204, headers={"ETag": '"x"'})),
        Script(reply=Reply(206, b"half", {"ETag": '"x"'})),
        Script(reply=Reply(304, headers={"ETag": '"x"'})),
        Script(headers={"content-length": "soon"}),
        Script(headers={"content-length": None}, cut_after=500_000),
    ],
)
def test_what_is_no_object_is_none(client, proxy, file, name, tmp_path, script):
    client.upload_object("objects", name, file)
    proxy.hook = lambda _: script
    with pytest.raises(ServerError, match="not answered as a registry does"):
        client.download_object("objects", name, tmp_path / "back")
    assert [file] == list(tmp_path.iterdir())


def test_what_cannot_be_written_is_told_as_that(client, file, name, tmp_path):
    client.upload_object("objects", name, file)
    with pytest.raises(FileNotFoundError):
        client.download_object("objects", name, tmp_path / "no" / "folder")
    with pytest.raises(IsADirectoryError):
        client.download_object("objects", name, tmp_path)


def test_what_cannot_be_read_is_told_and_not_asked_for(client, proxy, name, tmp_path):
    for path in (tmp_path / "missing", tmp_path, "nul\0", tmp_path / ("x" * 300)):
        with pytest.raises(LocalFileError):
            client.upload_object("objects", name, path)
    assert not proxy.requests


class Meddling(Display):
    """Changes a file when a part of it was sent."""

    def __init__(self, change):
        super().__init__()
        self._change = change

    def advance(self, size_bytes):
        super().advance(size_bytes)
        if self.done_bytes > 500_000 and self._change is not None:
            self._change()
            self._change = None


def test_a_file_that_grows_meanwhile_is_stored_as_it_was(client, file, name, server):
    data = file.read_bytes()

    def grow():
        with file.open("ab") as opened:
            opened.write(b"GET /api/v1/whoami HTTP/1.1\r\n\r\n" * 1000)

    client.upload_object("objects", name, file, progress=Meddling(grow))
    assert data == (server.objects / name).read_bytes()
    assert "admin" == client.whoami().principal


def test_a_file_that_is_cut_meanwhile_is_told_of(client, file, name, server):
    begun = time.monotonic()
    with pytest.raises(LocalFileError, match="shorter"):
        client.upload_object(
            "objects", name, file, progress=Meddling(lambda: os.truncate(file, 1_000_000))
        )
    assert time.monotonic() - begun < 25  # it waits for no answer: that is 30
    assert not (server.objects / name).exists()
    assert "admin" == client.whoami().principal


def test_a_file_that_is_written_over_meanwhile_is_refused(client, file, name, server):
    def change():
        with file.open("r+b") as opened:
            opened.seek(2_000_000)
            opened.write(b"other" * 1000)

    with pytest.raises(ValidationError):
        client.upload_object("objects", name, file, progress=Meddling(change))
    assert not (server.objects / name).exists()


@pytest.mark.parametrize("times", range(3))
def test_a_refusal_comes_through_while_much_is_left_to_send(server, name, tmp_path, times):
    big = tmp_path / "big"
    with big.open("wb") as opened:
        opened.truncate(_BIG)
    stranger = DatlakeClient(server.base_url, server.principal(), retry="max=0")
    with pytest.raises(ForbiddenError):
        stranger.upload_object("objects", name, big)
    with pytest.raises(AuthError):
        DatlakeClient(server.base_url, "dlk_wrong", retry="max=0").upload_object(
            "objects", name, big
        )
    with pytest.raises(NotFoundError):
        DatlakeClient(server.base_url, server.admin_key, retry="max=0").upload_object(
            "nowhere", name, big
        )


def test_a_large_file_takes_little_memory(server, name, tmp_path):
    big = tmp_path / "big"
    with big.open("wb") as opened:
        opened.truncate(_BIG * 5)
    code = f"""
import resource
from datlake_sdk import DatlakeClient
client = DatlakeClient({server.base_url!r}, {server.admin_key!r})
client.whoami()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
client.upload_object("objects", {name!r}, {str(big)!r})
client.download_object("objects", {name!r}, {str(tmp_path / "back")!r})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10_000  # KiB
    assert _BIG * 5 == (tmp_path / "back").stat().st_size
    (server.objects / name).unlink()


def test_two_that_download_to_one_file_leave_a_whole_one(client, file, name, tmp_path):
    client.upload_object("objects", name, file)
    to = tmp_path / "back"
    asking = [
        threading.Thread(target=client.download_object, args=("objects", name, to))
        for _ in range(4)
    ]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert file.read_bytes() == to.read_bytes()
    assert [to, file] == sorted(tmp_path.iterdir())

"""What a client makes of a registry that is no registry, or not well, or far away."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from datacachalog import Catalog, Dataset
from datacachalog.adapters.api import transport
from datacachalog.domain.errors import (
    ApiError,
    AuthError,
    ConfigurationError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    StorageError,
    TransientError,
    TransientNetworkError,
    ValidationError,
)
from datlake_sdk import DatlakeClient
from datlake_sdk.functional import Run, fetch_latest_uri
from tests.servers.counting import CountingProxy
from tests.servers.exchange import Reply, Script
from tests.servers.processes import HeldPorts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datacachalog.sdk.records import Key
    from tests.servers.exchange import Exchange

_HTML = b"<html><body>It works!</body></html>"
_JSON = {"Content-Type": "application/json"}
_FAST = "max=3,base_ms=1"


def _always(*replies: Reply) -> Callable[[Exchange], Script | None]:
    """Gives one answer after the other, the last one for ever; None lets a request pass."""
    left = list(replies)
    return lambda _: Script(reply=left.pop(0) if len(left) > 1 else left[0])


def _at_first(*scripts: Script) -> Callable[[Exchange], Script | None]:
    """Does these to the first requests, and lets the others pass."""
    left = list(scripts)
    return lambda _: left.pop(0) if left else None


class Listener:
    """Takes connections, does `talk` with each, and counts them."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        self.peers: list[object] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, peer = self._socket.accept()
            except OSError:
                return
            self.peers.append(peer)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the client hung up
            self._talk(connection)

    def taken(self) -> int:
        """How many connections were made until now; they are taken in their order."""
        with socket.create_connection(self._socket.getsockname()) as last:
            while last.getsockname() not in self.peers:
                time.sleep(0.01)
            return self.peers.index(last.getsockname())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # or the thread would take one more
        self._socket.close()


@pytest.fixture
def listening() -> Iterator[Callable[[Callable[[socket.socket], None]], Listener]]:
    """Starts a server that is none."""
    made: list[Listener] = []

    def start(talk: Callable[[socket.socket], None]) -> Listener:
        made.append(Listener(talk))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_without_an_address_it_is_told_how_to_give_one():
    with pytest.raises(ConfigurationError, match="which registry") as caught:
        DatlakeClient().get_tables()
    assert "DATLAKE_API_URL" in str(caught.value.hint)


def test_without_a_key_nobody_is_asked(proxy):
    with pytest.raises(ConfigurationError, match="no key"):
        DatlakeClient(proxy.endpoint).get_tables()
    assert not proxy.requests


@pytest.mark.parametrize("key", ["dlk_wrong", "x", "dlk_aaaaaaaaaaaa_" + "b" * 43, "a.b.c"])
def test_a_wrong_key_is_asked_with_once(proxy, key):
    with pytest.raises(AuthError) as caught:
        DatlakeClient(proxy.endpoint, key).get_tables()
    assert (1, 401) == (len(proxy.requests), caught.value.status)
    assert key not in f"{caught.value!r} {caught.value}" or key == "x"


def _short_key(client: DatlakeClient) -> Key:
    """A key that has expired. A moment may be over before the registry hears of it."""
    for seconds in (1, 5, 20):
        end = datetime.now(UTC) + timedelta(seconds=seconds)
        with contextlib.suppress(ValidationError):
            made = client.create_key("short", expires_at=end)
            time.sleep(max(0, (end - datetime.now(UTC)).total_seconds()) + 0.1)
            return made
    raise AssertionError("each was over before it was made")


def test_an_expired_key_and_a_revoked_one_are_refused(client, server):
    made = _short_key(client), client.create_key("gone")
    client.revoke_key(made[1].id)
    for one in made:
        with pytest.raises(AuthError):
            DatlakeClient(server.base_url, one.key).whoami()


def test_a_missing_table_is_asked_for_once_and_one_out_of_sight_is_forbidden(client, proxy, server):
    with pytest.raises(NotFoundError) as missing:
        client.get_latest_snapshot_uri("nowhere")
    assert (404, "not-found") == (missing.value.status, str(missing.value.code))
    assert proxy.requests[-1].response_headers["x-request-id"] == missing.value.request_id
    with pytest.raises(ForbiddenError):
        DatlakeClient(proxy.endpoint, server.principal()).get_latest_snapshot_uri("nowhere")
    assert 2 == len(proxy.requests)


def test_a_registry_cannot_have_any_file_of_this_machine_be_a_table(
    client, proxy, server, tmp_path, monkeypatch
):
    """It may know a file's path and guess its size, but not the tag that it would be known by."""
    file = tmp_path / "passwd"
    file.write_text("id\n1\n")
    told = {"table_name": "t", "snapshot_id": f"snap-{'0' * 32}", "uri": file.as_uri(), "seq": 1}
    told |= {"format": "csv", "created_at": "2026-01-01T00:00:00Z", "size_bytes": 5}
    reply = Script(reply=Reply(200, json.dumps(told).encode(), _JSON))
    proxy.hook = lambda asked: reply if asked.path.endswith("/latest") else None
    monkeypatch.setenv("DATLAKE_API_URL", proxy.endpoint)
    monkeypatch.setenv("DATLAKE_API_KEY", server.admin_key)
    catalog = Catalog([Dataset("t", "datlake://t")], cache_dir=tmp_path / "cache")
    asked: list[Callable[[], object]] = [
        lambda: client.read("t", "arrow"),
        lambda: client.sql("FROM t"),
        lambda: client.sample("t"),
        lambda: catalog.fetch("t"),
    ]
    for ask in asked:
        with pytest.raises(StorageError):
            ask()


def test_an_address_with_too_much_in_its_path_is_told(server):
    asks = DatlakeClient(f"{server.base_url}/lake", server.admin_key)
    with pytest.raises(ServerError, match="/lake/api/v1/tables is no address of the registry's"):
        asks.get_tables()


@pytest.mark.parametrize("name", ["...", "a b", "ü", "%2e%2e", "a?b#c", "x" * 900])
def test_a_strange_name_is_a_name(client, proxy, name):
    with pytest.raises((ValidationError, NotFoundError)):
        client.get_table(name)
    assert proxy.requests[-1].path.startswith("/api/v1/tables/")
    assert 4 == proxy.requests[-1].path.count("/")


@pytest.mark.parametrize("name", ["", "/abs/x", "a/../b", "a//b", "a/"])
def test_a_name_that_names_no_object_is_told_whole(client, tmp_path, name):
    with pytest.raises(ValidationError, match=re.escape(f"{name!r} is no name of one object")):
        client.download_object("objects", name, tmp_path / "x")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_name_that_would_lead_elsewhere_is_not_asked_for(client, proxy, name):
    for ask in (client.get_table, client.drop_table, client.get_run, client.get_table_uri):
        with pytest.raises(ValidationError, match="no name"):
            ask(name)
    assert not proxy.requests


def test_a_page_of_html_is_no_answer_and_not_asked_for_again(client, proxy):
    proxy.hook = _always(Reply(200, _HTML, {"Content-Type": "text/html; charset=utf-8"}))
    with pytest.raises(ServerError, match="text/html") as caught:
        client.get_tables()
    assert (1, 200) == (len(proxy.requests), caught.value.status)
    assert proxy.requests[0].headers["x-request-id"] == caught.value.request_id


def test_a_page_of_html_is_not_followed_for_events(client, proxy):
    proxy.hook = _always(Reply(200, _HTML, {"Content-Type": "text/html"}))
    with pytest.raises(ServerError, match="text/html"):
        next(client.follow())
    assert 1 == len(proxy.requests)


def test_what_a_gateway_does_not_find_is_no_missing_table(client, proxy, server, table):
    made = server.registered(table, server.object(b"id\n1\n"), "csv")
    client.get_snapshot(table, made)
    proxy.hook = _always(Reply(404, _HTML, {"Content-Type": "text/html"}))
    goes_on = DatlakeClient(
        proxy.endpoint, server.admin_key, error_strategy="continue_on_not_found"
    )
    with pytest.raises(ServerError, match="not by a registry"):
        _ = fetch_latest_uri(goes_on, Run("job", "run"), table).value
    assert 1 == len([one for one in proxy.requests if "latest" in one.path])
    assert made == client.get_snapshot(table, made).snapshot_id  # what is held is held


def test_another_snapshot_than_was_asked_for_is_none(client, proxy, server, table):
    made = server.registered(table, server.object(b"id\n1\n"), "csv")
    other = server.ask("GET", f"/tables/{table}/snapshots/{made}")
    proxy.hook = _always(Reply(200, json.dumps(other).encode(), _JSON))

    with pytest.raises(ServerError, match="another snapshot"):
        client.get_snapshot(table, f"snap-{'0' * 32}")
    assert made == client.get_snapshot(table, "1").snapshot_id


def test_a_gateway_that_answers_in_html_is_asked_again(client, proxy):
    proxy.hook = _always(Reply(502, _HTML, {"Content-Type": "text/html"}))
    with pytest.raises(TransientError, match="502, and not by a registry"):
        client.get_tables()
    assert 4 == len(proxy.requests)


@pytest.mark.parametrize("body", [b"", b"[", b'[{"name": "a", "la', b"\xff\xfe"])
def test_json_that_is_cut_is_asked_for_again(client, proxy, body):
    proxy.hook = _at_first(Script(reply=Reply(200, body, _JSON)))
    assert isinstance(client.get_tables(), list)
    proxy.hook = _always(Reply(200, body, _JSON))
    with pytest.raises(ServerError):
        client.get_tables()
    assert 6 == len(proxy.requests)


@pytest.mark.parametrize(
    "told", [None, 3, "x", [], {}, [1], [[]], {"name": 3}, [{"name": 3}], {"job_id": []}]
)
def test_json_of_another_shape_is_told_whatever_was_asked(client, proxy, told, tmp_path):
    proxy.hook = _always(Reply(200, json.dumps(told).encode(), _JSON))
    (tmp_path / "f").write_bytes(b"x")
    asked: list[Callable[[], object]] = [
        client.whoami,
        lambda: client.get_table("t"),
        lambda: client.get_latest_snapshot_uri("t"),
        lambda: client.register_snapshot("t", "file:///x"),
        lambda: client.get_job("j"),
        lambda: client.wait_for_job("j"),
        lambda: client.start_run("j"),
        lambda: client.publish("x"),
        lambda: client.roll_back("t", "s"),
        lambda: client.get_lineage("t"),
        lambda: client.upload_object("objects", "f", tmp_path / "f"),
        lambda: client.create_key("k"),
    ]
    if told != []:
        asked += [
            client.get_tables,
            lambda: list(client.list_snapshots("t")),
            lambda: list(client.list_members("r")),
            lambda: list(client.audit()),
        ]
    for ask in asked:
        with pytest.raises(ServerError):
            ask()


@pytest.mark.parametrize("status", [200, 400, 503])
def test_json_that_is_nested_without_end_is_no_answer(client, proxy, status):
    proxy.hook = _always(Reply(status, b"[" * 200_000, _JSON))
    with pytest.raises(ApiError):
        client.get_tables()
    deep = b'id: 1\ndata: {"seq": ' + b"[" * 200_000 + b"\n\n"
    proxy.hook = _always(Reply(200, deep, {"Content-Type": "text/event-stream"}))
    with pytest.raises(ServerError, match="no JSON"):
        next(client.follow())


def test_a_list_whose_next_page_is_the_same_one_has_an_end(client, proxy):
    again = {**_JSON, "Link": '</api/v1/tables?limit=1000&cursor=x>; rel="next"'}
    proxy.hook = _always(Reply(200, b'[{"name": "t", "latest_snapshot_id": null}]', again))
    with pytest.raises(ServerError, match="no end"):
        client.get_tables()
    assert 2 == len(proxy.requests)


@pytest.mark.parametrize("when", ["2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "now"])
def test_a_time_that_is_none_of_this_world_is_told(client, proxy, when):
    told = {"name": "t", "snapshot_id": "s", "created_at": when}
    proxy.hook = _always(Reply(200, json.dumps([told]).encode(), _JSON))
    with pytest.raises(ServerError, match="created_at"):
        list(client.list_tags("t"))


@pytest.mark.parametrize("roles", [[1], [None], [[]], ["a", {}]])
def test_roles_that_are_no_names_are_told(client, proxy, roles):
    unknown = dict.fromkeys(("key_id", "key_privileges", "key_expires_at"))
    told = {"principal": "p", "roles": roles, "privileges": [], **unknown}
    proxy.hook = _always(Reply(200, json.dumps(told).encode(), _JSON))
    with pytest.raises(ServerError, match="roles"):
        client.whoami()


@pytest.mark.parametrize(
    ("status", "kind", "times"),
    [
        (500, ServerError, 4),
        (501, ServerError, 1),
        (502, TransientError, 4),
        (503, TransientError, 4),
        (504, TransientError, 4),
        (408, TransientError, 4),
        (429, RateLimitedError, 4),
        (418, ApiError, 1),
    ],
)
def test_what_may_work_later_is_asked_again_and_nothing_else(client, proxy, status, kind, times):
    problem = {"code": "some-code", "detail": "told", "request_id": "req-x"}
    proxy.hook = _always(Reply(status, json.dumps(problem).encode(), _JSON))
    with pytest.raises(kind) as caught:
        client.start_run("j")
    assert (kind, times) == (type(caught.value), len(proxy.requests))
    assert ("told", "some-code", "req-x") == (
        caught.value.message,
        caught.value.code,
        caught.value.request_id,
    )
    assert 1 == len({one.headers["idempotency-key"] for one in proxy.requests})
    assert 1 == len({one.headers["x-request-id"] for one in proxy.requests})


@pytest.mark.parametrize("as_date", [False, True])
@pytest.mark.parametrize("status", [429, 503])
def test_a_registry_that_says_when_is_asked_then(client, proxy, status, as_date):
    due = datetime.now(UTC) + timedelta(seconds=1)
    if as_date:
        due = (due + timedelta(seconds=1)).replace(microsecond=0)
    after = {"Retry-After": format_datetime(due, usegmt=True) if as_date else "1"}
    proxy.hook = _at_first(Script(reply=Reply(status, b"", after)))
    client.whoami()
    assert -0.1 < (datetime.now(UTC) - due).total_seconds() < 40
    assert 2 == len(proxy.requests)


@pytest.mark.parametrize("after", ["86400", "999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_registry_that_comes_back_too_late_is_not_waited_for(client, proxy, after):
    proxy.hook = _always(Reply(503, b"", {"Retry-After": after}))
    begun = time.monotonic()
    with pytest.raises(TransientError):
        client.whoami()
    assert 1 == len(proxy.requests)
    assert time.monotonic() - begun < 40


@pytest.mark.parametrize(
    "after",
    ["soon", "-3", "", "1.5", "Fri, 99 Foo", f"Mon, 01 Jan 2024 00:00:00 +{'9' * 17}"],
)
def test_a_senseless_time_is_as_none(client, proxy, after):
    proxy.hook = _at_first(Script(reply=Reply(503, b"", {"Retry-After": after})))
    client.whoami()
    assert 2 == len(proxy.requests)


class _Clock:
    """A `time` that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self._at = 0.0

    def monotonic(self) -> float:
        return self._at

    def sleep(self, seconds: float) -> None:
        self._at += seconds


@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_it_is_asked_as_often_as_said(proxy, server, most):
    asks = DatlakeClient(proxy.endpoint, server.admin_key, retry=f"max={most},base_ms=1")
    proxy.hook = _always(Reply(503))
    with pytest.raises(TransientError):
        asks.whoami()
    assert most + 1 == len(proxy.requests)


def test_it_is_asked_no_later_than_said(proxy, server, monkeypatch):
    clock = _Clock()
    monkeypatch.setattr(transport, "time", clock)
    retry = "max=1000,base_ms=150,jitter=false,deadline_ms=1000"
    asks = DatlakeClient(proxy.endpoint, server.admin_key, retry=retry)
    proxy.hook = _always(Reply(503))
    with pytest.raises(TransientError):
        asks.whoami()
    assert pytest.approx(0.45) == clock.monotonic()
    assert 3 == len(proxy.requests)  # at 0, 0.15 and 0.45 s; the next one were at 1.05


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_it_is_never_sent_on_nor_is_the_key(client, proxy, server, status):
    with CountingProxy(server.base_url) as elsewhere:
        location = f"{elsewhere.endpoint}/api/v1/whoami?secret=1"
        proxy.hook = _always(Reply(status, b"", {"Location": location}))
        for ask in (client.whoami, lambda: client.start_run("j"), lambda: next(client.follow())):
            with pytest.raises(ServerError, match="not followed") as caught:
                ask()
            assert "secret" not in str(caught.value)
        assert not elsewhere.requests
    assert 3 == len(proxy.requests)


def test_nobody_listens_there():
    ports = HeldPorts(1)
    with pytest.raises(TransientNetworkError, match="no connection can be made") as caught:
        DatlakeClient(f"http://127.0.0.1:{ports[0]}", "k", retry=_FAST).whoami()
    assert str(caught.value.request_id).startswith("req-")


def test_there_is_no_such_host():
    asks = DatlakeClient("http://nowhere.invalid", "k", retry="max=0")
    with pytest.raises(TransientNetworkError, match="name of the host"):
        asks.whoami()


def test_it_does_not_wait_for_ever_for_an_answer(listening):
    def keep_silent(connection: socket.socket) -> None:
        while connection.recv(65536):  # until the client hangs up
            pass

    there = listening(keep_silent)
    asks = DatlakeClient(there.url, "k", default_timeout_ms=200, retry="max=1,base_ms=1")
    begun = time.monotonic()
    with pytest.raises(TransientNetworkError, match="in time"):
        asks.whoami()
    assert 0.4 < time.monotonic() - begun < 40
    assert 2 == there.taken()


def test_a_connection_that_nobody_accepts_is_not_waited_for():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(TransientNetworkError, match="in time"):
            DatlakeClient(url, "k", default_timeout_ms=300, retry="max=0").whoami()
        assert time.monotonic() - begun < 40  # TCP itself would try for two minutes
        for one in waiting:
            one.close()


def test_an_answer_that_drips_has_to_come_to_its_end(listening):
    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
        while True:
            connection.sendall(b" ")
            time.sleep(0.02)

    there = listening(drip)
    asks = DatlakeClient(there.url, "k", default_timeout_ms=60_000, retry="max=9,deadline_ms=600")
    begun = time.monotonic()
    with pytest.raises(TransientNetworkError, match="end in time"):
        asks.whoami()
    assert 0.5 < time.monotonic() - begun < 40
    assert 1 == there.taken()


@pytest.mark.parametrize("status", [b"200 OK", b"500 Oh"])
def test_an_answer_without_end_is_given_up(listening, status):
    def flood(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n\r\n" % status)
        while True:
            connection.sendall(b" " * 65536)

    there = listening(flood)
    with pytest.raises(ServerError, match="more than"):
        DatlakeClient(there.url, "k").whoami()
    assert 1 == there.taken()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 404 Not",
        b"HTTP/1.1 403 No\r\nContent-Type: application/problem+json",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nContent-Type: application/json\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[",
        # This one could be kept for the next request, which would then make no connection.
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n"
            b"Connection: close\r\n\r\n[]"
        ),
        b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 200 + b"\r\n",
        b"\x00" * 100_000,
    ],
)
def test_what_is_not_http_is_no_answer(listening, said):
    def say(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)

    there = listening(say)
    with pytest.raises(TransientNetworkError) as caught:
        DatlakeClient(there.url, "dlk_secret", retry=_FAST).start_run("j")
    assert 4 == there.taken()
    assert "dlk_secret" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    "script",
    [
        Script(cut_up_after=0),
        Script(cut_up_after=1),
        Script(cut_up_after=15),
        Script(is_lost=True),
        Script(cut_after=0),
        Script(cut_after=0, resets=True),
        Script(cut_after=10),
        Script(cut_after=10, resets=True),
        Script(cut_after=100),
    ],
    ids=lambda one: ",".join(f"{k}={v}" for k, v in vars(one).items() if v not in (None, 0, {})),
)
def test_a_connection_that_is_cut_anywhere_costs_a_write_nothing(client, proxy, table, script):
    job = f"job_{table}"
    proxy.hook = _at_first(script, script, script)
    made = client.start_run(job, {"what": "x" * 100})
    assert [made.run_id] == [one.run_id for one in client.list_runs(job)]
    assert 5 == len(proxy.requests)


def test_a_key_whose_text_was_lost_is_revoked_and_another_one_made(client, proxy, server):
    who = client.create_principal(f"p-{time.monotonic_ns()}").name
    proxy.hook = _at_first(Script(is_lost=True))
    made = client.create_key("k", principal=who)
    assert who == DatlakeClient(server.base_url, made.key).whoami().principal
    found = {one.id: one.revoked_at is None for one in client.list_keys(principal=who)}
    assert (2, [made.id]) == (len(found), [one for one, is_valid in found.items() if is_valid])


def test_every_call_has_a_key_of_its_own(client, proxy):
    for _ in range(3):
        client.publish("x")
    assert 3 == len({one.headers["idempotency-key"] for one in proxy.requests})
    assert 3 == len({one.headers["x-request-id"] for one in proxy.requests})


def test_a_block_of_requests_has_the_id_that_it_was_given(client, proxy):
    with client.correlated("night-shift.7"):
        client.whoami()
        with pytest.raises(NotFoundError) as caught:
            client.get_table("nowhere")
    client.whoami()
    assert ["night-shift.7"] * 2 == [one.headers["x-request-id"] for one in proxy.requests[:2]]
    assert "night-shift.7" == caught.value.request_id
    assert "night-shift.7" != proxy.requests[2].headers["x-request-id"]


@pytest.mark.parametrize("given", ["", "a b", "a\r\nX-Evil: 1", "ü", "x" * 129])
def test_an_id_that_no_header_holds_is_refused(client, given):
    with pytest.raises(ValueError, match="request's id"), client.correlated(given):
        pass


def test_what_is_no_json_is_not_sent(client, proxy):
    loop: dict[str, object] = {}
    loop["loop"] = loop
    for odd in ({"x": object()}, {"x": float("nan")}, {"x": {1, 2}}, loop):
        with pytest.raises(ValidationError, match="no JSON"):
            client.start_run("j", odd)
    assert not proxy.requests


def test_a_link_that_leads_elsewhere_is_not_followed(client, proxy, server):
    with CountingProxy(server.base_url) as elsewhere:
        link = f'<{elsewhere.endpoint}/api/v1/tables?cursor=x>; rel="next"'
        line = json.dumps([{"name": "a", "latest_snapshot_id": None}]).encode()
        proxy.hook = _at_first(Script(reply=Reply(200, line, {"Link": link, **_JSON})))
        with pytest.raises(ValidationError):
            client.get_tables()
        assert not elsewhere.requests
    assert 2 == len(proxy.requests)

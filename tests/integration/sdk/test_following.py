"""Events that are followed over cuts and restarts: none is left out, and none comes twice."""

from __future__ import annotations

import threading
import time

import pytest

from datacachalog.domain.errors import AuthError, TransientError
from datlake_sdk import DatlakeClient
from tests.servers.exchange import Reply, Script


class Reader(threading.Thread):
    """Follows events until it has so many."""

    def __init__(self, events, count):
        super().__init__(daemon=True)
        self._events, self._count = events, count
        self.seen, self.error = [], None
        self.start()

    def run(self):
        try:
            for event in self._events:
                self.seen.append(event)
                if len(self.seen) == self._count:
                    break
        except Exception as error:
            self.error = error


def _wait_for(true, timeout_s=60):
    until = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def _streams(proxy):
    return [one for one in proxy.requests if "/events/stream" in one.path and one.status == 200]


@pytest.fixture
def kind(table):
    return table  # as good a name as any


def test_from_now_on(client, proxy, kind):
    client.publish(kind, {"n": 0})
    reader = Reader(client.follow([f"custom.{kind}"]), 2)
    _wait_for(lambda: any(one.bytes_down for one in _streams(proxy)))
    sent = [client.publish(kind, {"n": n}) for n in (1, 2)]
    reader.join(60)
    assert [(one.seq, one.type) for one in sent] == [(one.seq, one.type) for one in reader.seen]
    assert [1, 2] == [one.data["n"] for one in reader.seen]


def test_after_one_and_of_a_table_or_a_job(client, server, table, kind):
    first = client.publish(kind, {"n": 0})
    client.register_snapshot(table, server.object(b"id\n1\n"), "csv")
    run = client.start_run(f"job_{table}")
    client.publish(kind, {"n": 1}, run_id=run.run_id)
    client.publish(kind, {"n": 2}, table_name=table)
    types = [f"custom.{kind}"]
    assert 1 == next(client.follow(types, since=first.seq)).data["n"]
    assert 0 == next(client.follow(types, since=0)).data["n"]
    of_table = Reader(client.follow(table_name=table, since=0), 2)
    of_table.join(60)
    assert ["snapshot.committed", f"custom.{kind}"] == [one.type for one in of_table.seen]
    assert table == of_table.seen[0].table_name
    of_job = Reader(client.follow(job_name=f"job_{table}", since=0), 2)
    of_job.join(60)
    assert ["run.started", f"custom.{kind}"] == [one.type for one in of_job.seen]
    assert run.run_id == of_job.seen[1].run_id


def test_cuts_lose_and_double_nothing(client, proxy, kind):
    cuts = iter([0, 1, 30, 200, 700, 1500])

    def cut(exchange):
        if "/events/stream" not in exchange.path:
            return None
        after = next(cuts, None)
        return None if after is None else Script(cut_after=after, resets=after % 4 == 0)

    first = client.publish(kind, {"n": -1})
    proxy.hook = cut
    reader = Reader(client.follow([f"custom.{kind}"], since=first.seq), 40)
    for n in range(40):
        client.publish(kind, {"n": n})
        time.sleep(0.02)
    reader.join(60)
    assert list(range(40)) == [one.data["n"] for one in reader.seen]
    assert 7 == len([one for one in proxy.requests if "/events/stream" in one.path])


def test_what_happens_before_the_first_event_is_not_left_out(client, proxy, kind):
    """The registry tells where it begins: a cut before any event loses none either."""
    went = []

    def cut(exchange):
        if "/events/stream" in exchange.path:
            went.append(exchange)
            return Script(cut_after=1 << 30) if len(went) > 1 else Script(cut_after=40, stalls=True)
        return None

    asks = DatlakeClient(
        proxy.endpoint, client.settings.api_key, default_timeout_ms=5000, retry="max=3,base_ms=1"
    )
    proxy.hook = cut
    reader = Reader(asks.follow([f"custom.{kind}"]), 2)
    _wait_for(lambda: any(one.bytes_down for one in _streams(proxy)))
    for n in range(2):
        client.publish(kind, {"n": n})
    reader.join(60)
    assert [0, 1] == [one.data["n"] for one in reader.seen]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_registry_that_is_away_is_waited_for(new_server, how):
    server = new_server()
    client = DatlakeClient(server.base_url, server.admin_key, retry="max=8,base_ms=20")
    reader = Reader(client.follow(["custom.x"], since=0), 6)
    for n in range(3):
        client.publish("x", {"n": n})
    _wait_for(lambda: len(reader.seen) == 3)
    getattr(server, how)()
    time.sleep(1.5)
    server.start()
    for n in range(3, 6):
        client.publish("x", {"n": n})
    reader.join(60)
    assert (None, list(range(6))) == (reader.error, [one.data["n"] for one in reader.seen])


def test_one_that_stays_away_ends_it_when_the_time_is_over(new_server):
    server = new_server()
    retry = "max=1,base_ms=10,deadline_ms=1500"
    client = DatlakeClient(server.base_url, server.admin_key, retry=retry)
    client.publish("x")
    reader = Reader(client.follow(["custom.x"], since=0), 2)
    _wait_for(lambda: reader.seen)
    begun = time.monotonic()
    server.kill()
    reader.join(60)
    assert isinstance(reader.error, TransientError)
    assert 1 < time.monotonic() - begun < 40
    with pytest.raises(TransientError):  # and one that is away from the first is not waited for
        next(client.follow())


def test_who_may_not_know_any_more_is_told(client, server, kind):
    key = client.create_key("short")
    reader = Reader(DatlakeClient(server.base_url, key.key).follow(since=0), -1)
    _wait_for(lambda: reader.seen)
    client.revoke_key(key.id)
    reader.join(60)
    assert isinstance(reader.error, AuthError)
    assert "unauthenticated" == reader.error.code


def test_a_stream_that_lies_is_told(client, proxy):
    head = {"Content-Type": "text/event-stream"}
    for body in (
        b"data: nonsense\n\n",
        b"data: []\n\n",
        b'data: {"seq": "1"}\n\n',
        b"x" * (2 << 20),
    ):
        proxy.hook = lambda _, body=body: Script(reply=Reply(200, body, head))
        with pytest.raises(Exception, match="registry's"):
            next(client.follow())

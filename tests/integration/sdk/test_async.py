"""The client for asyncio: all that the client does, each call in a thread."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, assert_type

import pytest

from datacachalog.domain.errors import NotFoundError
from datacachalog.sdk.aio import AsyncDatlakeClient
from datacachalog.sdk.records import TableLine
from datlake_sdk import DatlakeClient

if TYPE_CHECKING:
    from datacachalog.domain.errors import NotFoundError
    from tests.servers.datlake import DatlakeServer
else:
    from datacachalog.domain.errors import NotFoundError

_FOR_NO_THREAD = {"correlated", "aio", "duckdb", "sql"}


@pytest.fixture
def client(server: DatlakeServer) -> DatlakeClient:
    return DatlakeClient(server.base_url, server.admin_key)


def test_it_has_every_call_of_the_client():
    calls = {
        name for name, one in inspect.getmembers(DatlakeClient) if callable(one) and name[0] != "_"
    }

    assert calls - _FOR_NO_THREAD == {
        name for name in vars(AsyncDatlakeClient) if not name.startswith("_")
    }


def test_calls_go_on_beside_each_other(client, server, table, tmp_path):
    async def go() -> None:
        ids = [f"{table}_{n}" for n in range(8)]
        path = tmp_path / "a.csv"
        path.write_text("id\n1\n")
        uri = await client.aio.upload_object("objects", f"{table}.csv", path)
        jobs = await asyncio.gather(
            *(client.aio.register_snapshot(one, uri, format="csv") for one in ids)
        )
        assert {"completed"} == {job.status for job in jobs}
        lines = await client.aio.get_tables(containing=table)
        assert ids == [line.name for line in lines]
        found = [one.seq async for one in client.aio.list_snapshots(ids[0])]
        assert [1] == found

    asyncio.run(go())


def test_an_error_is_raised_where_it_is_awaited(client, table):
    with pytest.raises(NotFoundError) as error:
        asyncio.run(client.aio.get_table(table))

    assert 404 == error.value.code


def test_who_follows_may_be_cancelled_and_others_go_on(client):
    async def go() -> None:
        seen: list[str] = []

        async def follow() -> None:
            async for event in client.aio.follow(["custom.tick"]):
                seen.append(str(event.data["n"]))  # noqa: PERF401 - one at a time

        following = asyncio.create_task(follow())
        until = time.monotonic() + 60
        while not seen and time.monotonic() < until:
            await client.aio.publish("tick", {"n": 1})
            await asyncio.sleep(0.05)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        await client.aio.publish("tick", {"n": -1})  # wakes the thread that waits
        assert seen

    asyncio.run(go())


async def _types(client: DatlakeClient) -> None:
    assert_type(await client.aio.get_tables(), list[TableLine])
    assert_type(await client.aio.get_table_uri("sales"), str)

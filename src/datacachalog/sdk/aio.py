"""The client for asyncio: the same calls, each in a thread. Loaded by name: asyncio is large."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec, TypeVar, cast

from datacachalog.sdk.client import DatlakeClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

P = ParamSpec("P")
T = TypeVar("T")
_END: Final = object()


def _offloaded(
    method: Callable[Concatenate[DatlakeClient, P], T],
) -> Callable[Concatenate[AsyncDatlakeClient, P], Coroutine[Any, Any, T]]:
    async def call(self: AsyncDatlakeClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(method, self.client, *args, **kwargs)

    functools.update_wrapper(call, method)
    return call


def _one_by_one(
    method: Callable[Concatenate[DatlakeClient, P], Iterator[T]],
) -> Callable[Concatenate[AsyncDatlakeClient, P], AsyncIterator[T]]:
    async def iterate(
        self: AsyncDatlakeClient, /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[T]:
        lines = _Lines(method(self.client, *args, **kwargs))
        try:
            while (line := await asyncio.to_thread(lines.next)) is not _END:
                yield cast("T", line)
        finally:
            # Not waited for: a thread that is cancelled ends with the line that it waits for.
            asyncio.get_running_loop().run_in_executor(None, lines.close)

    functools.update_wrapper(iterate, method)
    return iterate


class _Lines(Generic[T]):
    """An iterator that a thread may wait for while another one wants to close it."""

    def __init__(self, lines: Iterator[T]) -> None:
        self._lines, self._turn = lines, threading.Lock()

    def next(self) -> T | object:
        with self._turn:
            return next(self._lines, _END)

    def close(self) -> None:
        with self._turn:
            getattr(self._lines, "close", lambda: None)()


class AsyncDatlakeClient:
    """`DatlakeClient` for asyncio, as its `aio`: methods are awaited, lists are `async for`.

    Each call takes a thread of the event loop's pool until it is answered. One that is cancelled
    is not waited for any more, and may be done all the same. Meaning and errors are those of
    `DatlakeClient`.
    """

    def __init__(self, client: DatlakeClient) -> None:
        self.client = client

    get_tables = _offloaded(DatlakeClient.get_tables)
    get_table = _offloaded(DatlakeClient.get_table)
    get_latest_snapshot_uri = _offloaded(DatlakeClient.get_latest_snapshot_uri)
    get_latest_snapshot = _offloaded(DatlakeClient.get_latest_snapshot)
    get_snapshot = _offloaded(DatlakeClient.get_snapshot)
    list_snapshots = _one_by_one(DatlakeClient.list_snapshots)
    get_table_uri = _offloaded(DatlakeClient.get_table_uri)
    resolve_table_uri = _offloaded(DatlakeClient.resolve_table_uri)
    set_schema_policy = _offloaded(DatlakeClient.set_schema_policy)
    drop_table = _offloaded(DatlakeClient.drop_table)
    undrop_table = _offloaded(DatlakeClient.undrop_table)
    roll_back = _offloaded(DatlakeClient.roll_back)
    list_tags = _one_by_one(DatlakeClient.list_tags)
    set_tag = _offloaded(DatlakeClient.set_tag)
    delete_tag = _offloaded(DatlakeClient.delete_tag)
    get_lineage = _offloaded(DatlakeClient.get_lineage)
    sample = _offloaded(DatlakeClient.sample)
    read = _offloaded(DatlakeClient.read)
    register_snapshot = _offloaded(DatlakeClient.register_snapshot)
    get_job = _offloaded(DatlakeClient.get_job)
    wait_for_job = _offloaded(DatlakeClient.wait_for_job)
    cancel_job = _offloaded(DatlakeClient.cancel_job)
    upload_object = _offloaded(DatlakeClient.upload_object)
    download_object = _offloaded(DatlakeClient.download_object)
    start_run = _offloaded(DatlakeClient.start_run)
    heartbeat = _offloaded(DatlakeClient.heartbeat)
    complete_run = _offloaded(DatlakeClient.complete_run)
    get_run = _offloaded(DatlakeClient.get_run)
    list_runs = _one_by_one(DatlakeClient.list_runs)
    publish = _offloaded(DatlakeClient.publish)
    follow = _one_by_one(DatlakeClient.follow)
    whoami = _offloaded(DatlakeClient.whoami)
    list_keys = _one_by_one(DatlakeClient.list_keys)
    create_key = _offloaded(DatlakeClient.create_key)
    revoke_key = _offloaded(DatlakeClient.revoke_key)
    list_principals = _one_by_one(DatlakeClient.list_principals)
    create_principal = _offloaded(DatlakeClient.create_principal)
    disable_principal = _offloaded(DatlakeClient.disable_principal)
    enable_principal = _offloaded(DatlakeClient.enable_principal)
    delete_principal = _offloaded(DatlakeClient.delete_principal)
    list_roles = _one_by_one(DatlakeClient.list_roles)
    create_role = _offloaded(DatlakeClient.create_role)
    delete_role = _offloaded(DatlakeClient.delete_role)
    list_members = _offloaded(DatlakeClient.list_members)
    add_member = _offloaded(DatlakeClient.add_member)
    remove_member = _offloaded(DatlakeClient.remove_member)
    list_grants = _one_by_one(DatlakeClient.list_grants)
    grant = _offloaded(DatlakeClient.grant)
    revoke_grant = _offloaded(DatlakeClient.revoke_grant)
    list_locations = _one_by_one(DatlakeClient.list_locations)
    create_location = _offloaded(DatlakeClient.create_location)
    delete_location = _offloaded(DatlakeClient.delete_location)
    audit = _one_by_one(DatlakeClient.audit)

    def __repr__(self) -> str:
        return f"{self.client!r}.aio"

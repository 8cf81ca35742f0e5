"""Tables and their snapshots."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from datacachalog.adapters.api.reading import record, text_of
from datacachalog.adapters.api.transport import Ask, segment
from datacachalog.sdk.base import Base, without_nothing
from datacachalog.sdk.records import Edge, Lineage, Table, TableLine, Tag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Literal

    from datacachalog.domain.registry import Snapshot


class Tables(Base):
    """What `DatlakeClient` does with tables.

    Every method raises `ApiError`: `ForbiddenError` for a table that the caller may not see, be it
    there or not, and `NotFoundError` for one that is not there.
    """

    def get_tables(
        self, *, namespace: str | None = None, containing: str | None = None
    ) -> list[TableLine]:
        """The tables that the caller may read, by name; `containing` is a part of the name."""
        return list(self._all(TableLine, "/tables", namespace=namespace, q=containing))

    def get_table(self, table_name: str) -> Table:
        """A table, with the ETag that its changes want."""
        answer = self.transport.ask(Ask("GET", f"/tables/{segment(table_name)}"))
        return replace(record(Table, answer.data), etag=answer.headers.get("etag"))

    def get_latest_snapshot_uri(self, table_name: str) -> Snapshot:
        """The current snapshot of a table: its `uri` and what is known of it; `str()` is the URI.

        From the cache, where `latest_ttl_s` or `offline` say so; else the registry is asked
        whether the cached one is current still. `sales_q1@snap-…` is that snapshot of the table,
        which never changes: once it is cached, nobody is asked.
        """
        table, pinned, snapshot_id = table_name.partition("@")
        return self.get_snapshot(table, snapshot_id) if pinned else self._cached.latest(table)

    def get_latest_snapshot(
        self, table_name: str, *, as_of: datetime | None = None, tag: str | None = None
    ) -> Snapshot:
        """The snapshot that is current, was so at a time (aware), or has a tag.

        Raises:
            ValueError: `as_of` is not aware, or given with `tag`.
        """
        if as_of is None and tag is None:
            return self.get_latest_snapshot_uri(table_name)
        if as_of is not None and tag is not None:
            raise ValueError("give as_of or tag, not both")
        if as_of is not None and as_of.tzinfo is None:
            raise ValueError("as_of must be aware: give it a timezone")
        when = None if as_of is None else as_of.isoformat()
        return self._cached.answered(
            table_name, lambda: self._http.latest_at(table_name, as_of=when, tag=tag)[0]
        )

    def get_snapshot(self, table_name: str, snapshot_id: str) -> Snapshot:
        """One snapshot, which never changes: once it is cached, nobody is asked."""
        return self._cached.snapshot(table_name, snapshot_id)

    def list_snapshots(self, table_name: str) -> Iterator[Snapshot]:
        """Every snapshot of a table, the newest first, without their schemas."""
        return self._cached.snapshots(table_name)

    def get_table_uri(self, table_name: str) -> str:
        """The URI of a table's current snapshot, or of `table@snapshot`."""
        return self.get_latest_snapshot_uri(table_name).uri

    def resolve_table_uri(self, table_name: str) -> str:
        """The same as `get_table_uri`."""
        return self.get_table_uri(table_name)

    def set_schema_policy(
        self, table_name: str, policy: Literal["none", "additive", "strict"], *, if_match: str
    ) -> Table:
        """Says what a new snapshot may change; `if_match` is the ETag of `get_table`.

        Raises:
            ApiConflictError: the table has changed since.
        """
        path = f"/tables/{segment(table_name)}"
        body = {"schema_policy": policy}
        return self._one(Table, Ask("PATCH", path, json=body, headers={"If-Match": if_match}))

    def drop_table(self, table_name: str) -> None:
        """Has a table be found no more; `undrop_table` brings it back."""
        self.transport.ask(Ask("DELETE", f"/tables/{segment(table_name)}"))
        self._cached.dropped(table_name)

    def undrop_table(self, table_name: str) -> Table:
        """Brings back the table of that name that was dropped last."""
        return self._one(Table, Ask("POST", f"/tables/{segment(table_name)}/undrop"))

    def roll_back(
        self, table_name: str, snapshot_id: str, *, expected_current: str | None = None
    ) -> str:
        """Makes an earlier snapshot the current one again; its id.

        Raises:
            ApiConflictError: another one is current than `expected_current`.
        """
        body = without_nothing(snapshot_id=snapshot_id, expected_current=expected_current)
        path = f"/tables/{segment(table_name)}/rollback"
        try:
            return text_of(self.transport.ask(Ask("POST", path, json=body)).data, "snapshot_id")
        finally:  # also where it fails: another snapshot may be current than we know of
            self._cached.changed(table_name)

    def list_tags(self, table_name: str) -> Iterator[Tag]:
        """The tags of a table, by name."""
        return self._all(Tag, f"/tables/{segment(table_name)}/tags")

    def set_tag(self, table_name: str, tag: str, snapshot_id: str) -> Tag:
        """Puts a tag on a snapshot, wherever it was before."""
        path = f"/tables/{segment(table_name)}/tags/{segment(tag)}"
        return self._one(Tag, Ask("PUT", path, json={"snapshot_id": snapshot_id}))

    def delete_tag(self, table_name: str, tag: str) -> None:
        """Takes a tag away; its snapshot stays."""
        self.transport.ask(Ask("DELETE", f"/tables/{segment(table_name)}/tags/{segment(tag)}"))

    def get_lineage(
        self,
        table_name: str,
        direction: Literal["upstream", "downstream"] = "upstream",
        *,
        depth: int | None = None,
    ) -> Lineage:
        """What a table was made of, or what was made of it, as far as the caller may see."""
        query = {"direction": direction, "depth": depth}
        path = f"/tables/{segment(table_name)}/lineage"
        found = self._one(Lineage, Ask("GET", path, query))
        return replace(found, edges=tuple(record(Edge, one) for one in found.edges))

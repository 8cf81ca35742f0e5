"""Streams of events that come to an end, for who asks for them as for anything else."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from datacachalog.server.events.streaming import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator


class BriefFeed(Feed):
    """Its streams end where others begin to wait for news: after what there is already."""

    @contextmanager
    def joined(self, principal_id: str) -> Iterator[None]:
        self.is_over = False
        with super().joined(principal_id):
            yield

    @property
    def news(self) -> asyncio.Event:
        """News that there will be none."""
        self.is_over = True
        told = asyncio.Event()
        told.set()
        return told

    @news.setter
    def news(self, other: asyncio.Event) -> None:
        """Nothing waits for it."""

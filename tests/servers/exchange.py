"""What the counting proxy saw of a request, and what it can be told to do to one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass
class Exchange:
    """One request and its answer. Header names are in lower case; sizes are of bodies only."""

    method: str
    path: str
    headers: Mapping[str, str]
    status: int = 0
    response_headers: Mapping[str, str] = field(default_factory=dict)
    bytes_up: int = 0
    bytes_down: int = 0


@dataclass(frozen=True)
class Reply:
    """An answer that the proxy gives itself; the server never sees the request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Script:
    """What is done to one exchange.

    `delay_s` passes before the server is asked. `headers` replace those of the answer, or remove
    them where the value is None; `request_headers` do the same to those of the request, which a
    server that checks signatures may refuse then. The body is sent at `bytes_per_s`, and the
    connection closes after exactly `cut_after` bytes of it; it is reset instead where the script
    `resets`, and stays open without a word where it `stalls`. While it `pauses`, no byte of a body
    passes: a test can do something at one moment of a transfer, however long it takes. The lowest
    bit of the body's byte at `flips` is another one. Where the answer `is_lost`, the server has
    given it, and the client hears nothing but the end of the connection. The request is cut after
    `cut_up_after` bytes of its body, of which the server hears nothing where that is 0.
    """

    delay_s: float = 0
    reply: Reply | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    request_headers: Mapping[str, str | None] = field(default_factory=dict)
    bytes_per_s: float | None = None
    pauses: Callable[[], bool] | None = None
    cut_after: int | None = None
    is_lost: bool = False
    resets: bool = False
    stalls: bool = False
    flips: int | None = None
    cut_up_after: int | None = None


@dataclass
class Tally:
    """What passed through the proxy, in order of arrival."""

    requests: list[Exchange] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        return [each.method for each in self.requests]

    @property
    def bytes_up(self) -> int:
        return sum(each.bytes_up for each in self.requests)

    @property
    def bytes_down(self) -> int:
        return sum(each.bytes_down for each in self.requests)

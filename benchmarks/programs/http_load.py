"""`http_load PORT CONNECTIONS SECONDS PATH [HEADER …]`: GETs the same thing as fast as it comes.

Each connection asks again as soon as it has its answer. What is said: answers in a second, and the
median and the 99th percentile of the time for one, in milliseconds. Any status but 200 and 304 ends
it. It is a bare protocol because a client library would take the processor from the server.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import time

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Asking(asyncio.Protocol):
    def __init__(self, request: bytes, until: float, times: list[float]) -> None:
        self.request, self.until, self.times = request, until, times
        self.over = asyncio.get_running_loop().create_future()
        self.buffer, self.begun = b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.begun = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, mark, body = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        status = int(head[9:12])
        length = _LENGTH.search(head)
        if status == 200 and (length is None or len(body) < int(length[1])):
            return
        now = time.perf_counter()
        self.times.append(now - self.begun)
        self.buffer = b""
        if status not in {200, 304} or now > self.until:
            self.transport.close()
            self.over.set_result(status)
        else:
            self.ask()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(0)


async def load(port: int, connections: int, seconds: float, request: bytes) -> dict[str, float]:
    loop, times = asyncio.get_running_loop(), list[float]()
    begun = time.perf_counter()
    made = [
        await loop.create_connection(
            lambda: Asking(request, begun + seconds, times), "127.0.0.1", port
        )
        for _ in range(connections)
    ]
    ended = {await protocol.over for _, protocol in made}
    if not ended <= {200, 304}:
        sys.exit(f"answers had the statuses {ended}")
    work_s = time.perf_counter() - begun
    return {
        "work_s": work_s,
        "rate": len(times) / work_s,
        "median_ms": 1000 * statistics.median(times),
        "p99_ms": 1000 * statistics.quantiles(times, n=100)[98],
    }


def main() -> None:
    port, connections, seconds, path, *headers = sys.argv[1:]
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    request = "\r\n".join(lines).encode()
    print(json.dumps(asyncio.run(load(int(port), int(connections), float(seconds), request))))


if __name__ == "__main__":
    main()

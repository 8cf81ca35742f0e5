"""A proxy that stands before a server, counts exactly, and misbehaves on demand.

The client's `Host` header is passed on unchanged, since request signatures cover it. Bodies are
streamed in both directions, as they are; connections stay open between requests.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, islice
from typing import TYPE_CHECKING, Self

from tests.servers.exchange import Exchange, Script, Tally

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from http.client import HTTPResponse

    from tests.servers.exchange import Reply

_BLOCK_BYTES = 256 * 1024
_HOP_BY_HOP = {"connection", "expect", "keep-alive", "proxy-connection", "te", "upgrade"}


class CountingProxy(Tally):
    """A running proxy before the server at `upstream`; it has counted all since `reset`.

    With `tls`, clients speak TLS with it; it speaks plainly with the server.

    `hook` may be set at any time. It is called with every exchange before the server sees the
    request; where it returns None the exchange passes as it is. An exchange is listed from its
    arrival on, and complete before its client has read the last byte of the answer.
    """

    def __init__(self, upstream: str, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._scheme = "http" if tls is None else "https"
        self.upstream = upstream.removeprefix("http://").rstrip("/")
        self.hook: Callable[[Exchange], Script | None] = lambda _: None
        self._server = _Server(self, tls)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def reset(self) -> None:
        """Forgets what was counted so far."""
        self.requests = []

    @contextlib.contextmanager
    def counted(self) -> Iterator[Tally]:
        """What passes while the block runs; empty until it ends."""
        tally, requests, before = Tally(), self.requests, len(self.requests)
        try:
            yield tally
        finally:
            tally.requests = requests[before:]

    def stop(self) -> None:
        """Ends the proxy and every connection through it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True  # a forgotten proxy lets the interpreter end

    def __init__(self, proxy: CountingProxy, tls: ssl.SSLContext | None) -> None:
        self.proxy = proxy
        self.open: set[_Handler] = set()
        self.is_closing = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:  # hands are shaken by the connection's own thread, as it first reads
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def server_close(self) -> None:
        self.is_closing.set()
        for handler in list(self.open):
            handler.abort()
            handler.thread.join()
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, with one of its own to the server."""

    server: _Server
    protocol_version = "HTTP/1.1"
    rbufsize = 64 * 1024
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.thread = threading.current_thread()
        self._upstream = HTTPConnection(self.server.proxy.upstream, timeout=300)
        self.server.open.add(self)

    def handle(self) -> None:
        with contextlib.suppress(OSError, HTTPException):  # one side hung up: so do we
            super().handle()

    def finish(self) -> None:
        self.server.open.discard(self)
        self._upstream.close()
        super().finish()

    def abort(self) -> None:
        """Wakes the thread, wherever it waits, to find its connections closed."""
        for each in (self.connection, self._upstream.sock):
            with contextlib.suppress(OSError, AttributeError):
                each.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _exchange(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        exchange = Exchange(self.command, self.path, headers)
        self.server.proxy.requests.append(exchange)
        script = self.server.proxy.hook(exchange) or Script()
        if self.server.is_closing.wait(script.delay_s):
            raise ConnectionAbortedError("the proxy ends")
        if script.reply is None:
            self._send_up(exchange, script)
            with self._upstream.getresponse() as response:
                if script.is_lost:
                    response.read()
                    raise ConnectionAbortedError("the answer was lost")
                self._send_down(exchange, response, script)
        else:
            for block in self._request_body():
                exchange.bytes_up += len(block)
            self._send_reply(exchange, script.reply)

    do_GET = do_HEAD = do_PUT = do_POST = _exchange  # noqa: N815 - http.server's names
    do_DELETE = do_PATCH = _exchange  # noqa: N815

    def _request_body(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        left = int(self.headers.get("Content-Length", 0))
        while left:
            block = self._read_block(min(left, _BLOCK_BYTES))
            if not block:
                raise ConnectionAbortedError("the client hung up")
            left -= len(block)
            yield block

    def _read_block(self, size: int) -> bytes:
        try:
            return self.rfile.read1(size)
        except ConnectionError:  # not to be taken for the server's hanging up
            return b""

    def _send_up(self, exchange: Exchange, script: Script) -> None:
        upstream, body = self._upstream, _cut(self._request_body(), script.cut_up_after)
        # A server may take a head that no body follows for an empty object (SeaweedFS 4.48 does):
        # it hears of no upload whose client is gone already.
        begin = list(islice(body, 1))
        if upstream.sock and select.select([upstream.sock], [], [], 0)[0]:
            upstream.close()  # the server hung up while the connection was idle
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in _changed(self.headers.items(), script.request_headers):
            if name.lower() not in _HOP_BY_HOP:
                upstream.putheader(name, value)
        upstream.endheaders()
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
        try:
            for block in chain(begin, body):
                exchange.bytes_up += len(block)
                upstream.send(_chunk(block) if chunked else block)
            if chunked:
                upstream.send(_chunk(b""))
        except (BrokenPipeError, ConnectionResetError):  # the server answered early: hear it
            exchange.bytes_up += sum(len(block) for block in body)

    def _send_down(self, exchange: Exchange, response: HTTPResponse, script: Script) -> None:
        headers = [(k, v) for k, v in response.getheaders() if k.lower() not in _HOP_BY_HOP]
        chunked = response.chunked and self.command != "HEAD"
        if response.length is None and not chunked:
            self.close_connection = True  # the end of the connection is the end of the body
        self._send_head(exchange, response.status, headers, script)
        try:
            for block in _paced(response, script):
                while script.pauses is not None and script.pauses():
                    if self.server.is_closing.wait(0.01):
                        raise ConnectionAbortedError("the proxy ends")
                sent = _flipped(block, script.flips, exchange.bytes_down)
                exchange.bytes_down += len(block)
                self.wfile.write(_chunk(sent) if chunked else sent)
        except ConnectionAbortedError:
            self._hang_up(script)
            raise
        if response.will_close:
            self._upstream.close()
        if chunked:
            self.wfile.write(_chunk(b""))

    def _hang_up(self, script: Script) -> None:
        """What comes before the end of a connection that is cut."""
        if script.stalls:  # until the client hangs up, or the proxy ends
            select.select([self.connection], [], [])
        if script.resets:
            linger = struct.pack("ii", 1, 0)  # on, for no time: closing resets the connection
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def _send_reply(self, exchange: Exchange, reply: Reply) -> None:
        headers = {"Content-Length": str(len(reply.body)), **reply.headers}
        self._send_head(exchange, reply.status, list(headers.items()), Script())
        if self.command != "HEAD":
            exchange.bytes_down += len(reply.body)
            self.wfile.write(reply.body)

    def _send_head(
        self, exchange: Exchange, status: int, headers: list[tuple[str, str]], script: Script
    ) -> None:
        kept = _changed(headers, script.headers)
        exchange.status = status
        exchange.response_headers = {name.lower(): value for name, value in kept}
        self.send_response_only(status)
        for name, value in kept:
            self.send_header(name, value)
        self.end_headers()


def _changed(
    headers: Iterable[tuple[str, str]], changes: Mapping[str, str | None]
) -> list[tuple[str, str]]:
    """The headers, with some replaced by other values, or removed by None."""
    changed = {name.lower(): value for name, value in changes.items()}
    kept = [(name, value) for name, value in headers if name.lower() not in changed]
    return kept + [(name, value) for name, value in changed.items() if value is not None]


def _flipped(block: bytes, at: int | None, begun: int) -> bytes:
    """A block that begins at a byte of the body, with one bit another if it is in there."""
    if at is None or not 0 <= at - begun < len(block):
        return block
    changed = bytearray(block)
    changed[at - begun] ^= 1
    return bytes(changed)


def _chunk(block: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(block), block)


def _cut(body: Iterator[bytes], after: int | None) -> Iterator[bytes]:
    """The blocks of a request; raises after so many bytes."""
    left = after
    for block in chain([b""], body) if after == 0 else body:
        if left is not None:
            yield from filter(None, [block[:left]])
            left -= min(left, len(block))
            if left == 0:
                raise ConnectionAbortedError("the request was cut")
        else:
            yield block


def _paced(response: HTTPResponse, script: Script) -> Iterator[bytes]:
    """The body's blocks, as slowly as asked; raises where the body ends too early."""
    left, most = script.cut_after, _BLOCK_BYTES
    if script.bytes_per_s is not None:  # every 50 ms some, rather than much after a long silence
        most = max(1, min(most, int(script.bytes_per_s / 20)))
    while left != 0 and (block := response.read1(min(most, left or most))):
        if script.bytes_per_s is not None:
            time.sleep(len(block) / script.bytes_per_s)
        yield block
        left = None if left is None else left - len(block)
    if left == 0 or response.length:
        raise ConnectionAbortedError("the body was cut")

"""An identity provider: keys, the tokens that it signs, and a server that has its public keys."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUER, AUDIENCE = "https://id.example/realm", "datlake"
_MAKERS: Any = {
    "RS256": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}


@dataclass
class Provider:
    """`answer` is what its server sends instead of its keys, as (status, headers, body)."""

    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)
    asked: int = 0
    url: str = ""
    answer: tuple[int, dict[str, str], bytes] | None = None
    pause_s: float = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def add(self, kid: str, algorithm: str = "ES256") -> None:
        """Makes a key of that name."""
        self.keys[kid] = (algorithm, _MAKERS[algorithm][0]())

    def public(self, kid: str) -> dict[str, Any]:
        """What its server says of a key."""
        algorithm, key = self.keys[kid]
        told = json.loads(_MAKERS[algorithm][1].to_jwk(key.public_key()))
        return {**told, "kid": kid, "use": "sig", "alg": algorithm}

    def jwks(self) -> bytes:
        return json.dumps({"keys": [self.public(kid) for kid in self.keys]}).encode()

    def token(self, kid: str = "one", *, header: Any = None, **claims: Any) -> str:
        """A token that is valid but for what is said; a claim of None is left out."""
        algorithm, key = self.keys[kid]
        wanted = claims_of(**claims)
        return jwt.encode(wanted, key, algorithm, headers={"kid": kid, **(header or {})})


def claims_of(**claims: Any) -> dict[str, Any]:
    at = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": at, "exp": at + 300}
    return {name: one for name, one in (good | claims).items() if one is not None}


@contextmanager
def serving(provider: Provider) -> Iterator[Provider]:
    """The provider, with a server on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked += 1
            provider.is_over.wait(provider.pause_s)
            status, headers, body = provider.answer or (200, {}, provider.jwks())
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_port}/keys"
    try:
        yield provider
    finally:
        provider.is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()

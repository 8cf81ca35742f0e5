"""Values that nobody means well with, wherever the OpenAPI document has a place for one."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REGISTER = "/api/v1/jobs/register-snapshot"
JSON = {"Content-Type": "application/json"}
TEXTS = [
    "\0",
    "a\0b",
    "",
    " ",
    "a" * 3_000,
    "\u202e",
    "../..",
    "%00",
    "%2e%2e",
    "' OR 1=1 --",
    "\\",
]
NUMBERS = ["-1", "0", "9" * 18, "9" * 19, "9" * 400, "1e9", "NaN", "٣"]
VALUES: list[Any] = [
    *TEXTS,
    "\ud800",
    {"\udfff": "\0"},
    10**30,
    -(10**30),
    1e308 * 10,
    float("nan"),
    -1,
    None,
    True,
    [],
    {},
    [[]],
    ["a"] * 2_000,
    [{}],
]


def deep(depth: int) -> Any:
    made: Any = []
    for _ in range(depth):
        made = [made]
    return made


@pytest.fixture
def client(registry):
    return registry.client(registry.admin.headers["authorization"].removeprefix("Bearer "))


def operations(registry) -> Iterator[tuple[str, str, dict[str, Any]]]:
    document = registry.app.openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "text/event-stream" not in str(operation["responses"].get("200")):
                yield method.upper(), path, operation


def documented(answer, operation) -> bool:
    told = operation["responses"].get(str(answer.status_code))
    if told is None:
        return False
    kind = answer.headers.get("content-type", "").partition(";")[0]
    return kind in told.get("content", {"": None})


def test_hostile_parameters(registry, client):
    found = []
    for method, path, operation in operations(registry):
        for one in operation.get("parameters", []):
            for value in (*TEXTS, *NUMBERS):
                answer = asked(client, method, path, operation, one, value)
                if answer.status_code >= 500 or not (
                    documented(answer, operation)
                    or (one["in"] == "path" and answer.status_code in {404, 405, 307})
                ):
                    found.append((method, path, one["name"], value[:20], answer.status_code))

    assert [] == found


def asked(client, method, path, operation, parameter, value):
    query, headers = {}, {}
    for one in operation["parameters"]:
        if one["in"] == "path":
            mine = value if one is parameter else "x"
            path = path.replace("{" + one["name"] + "}", quoted(mine))
    if parameter["in"] == "query":
        query[parameter["name"]] = value
    elif parameter["in"] == "header":
        headers[parameter["name"]] = value.replace("\0", "").encode()
    body = {"content": b"{}", "headers": {**headers, **JSON}} if "requestBody" in operation else {}
    return client.request(method, path, params=query, **{"headers": headers, **body})


def quoted(value: str) -> str:
    return "".join(f"%{one:02X}" for one in value.encode()) or "%20"


def test_hostile_members_of_a_body(registry, client):
    found = []
    for method, path, operation, schema in bodies(registry):
        for name in schema.get("properties", {}):
            for value in (*VALUES, deep(70)):
                body = dict.fromkeys(schema.get("required", []), "x") | {name: value}
                sent = json.dumps(body).encode()
                answer = client.request(method, filled(path), content=sent, headers=JSON)
                if not documented(answer, operation):
                    found.append((method, path, name, str(value)[:30], answer.status_code))

    assert [] == found


def bodies(registry) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    schemas = registry.app.openapi()["components"]["schemas"]
    for method, path, operation in operations(registry):
        content = operation.get("requestBody", {}).get("content", {})
        told = content.get("application/json", {}).get("schema", {})
        if name := told.get("$ref", "").rpartition("/")[2]:
            yield method, path, operation, schemas[name]


def filled(path: str) -> str:
    return path.replace("{", "").replace("}", "")


BODIES = {
    "nothing": b"",
    "no JSON": b"\x00\xff",
    "not UTF-8": b'{"table_name": "\xff"}',
    "a million brackets": b"[" * 1_000_000,
    "brackets that close": b"[" * 50_000 + b"]" * 50_000,
    "a number of a thousand digits": b'{"table_name": ' + b"9" * 1_000 + b"}",
    "a number of ten thousand digits": b'{"table_name": ' + b"9" * 10_000 + b"}",
    "fifty thousand members": json.dumps(dict.fromkeys(map(str, range(50_000)))).encode(),
    "a member of a long name": json.dumps({"a" * 900_000: 1}).encode(),
    "the same member often": b"{" + b'"table_name": 1, ' * 50_000 + b'"uri": 1}',
    "a bomb": gzip.compress(b" " * (1 << 28), 9),
    "a list": b"[]",
    "a string": b'"a"',
    "nothing at all": b"null",
}


@pytest.mark.parametrize("named", BODIES)
def test_hostile_bodies(registry, client, named):
    for method, path, operation, _ in bodies(registry):
        for more in ({}, {"Content-Encoding": "gzip"}):
            answer = client.request(
                method, filled(path), content=BODIES[named], headers={**JSON, **more}
            )

            assert answer.status_code in {400, 413, 422}, (path, answer.text[:200])
            assert documented(answer, operation)
            assert len(answer.content) < 100_000  # what was sent is not sent back


@pytest.mark.parametrize(
    "header",
    ["Authorization", "Idempotency-Key", "If-None-Match", "If-Match", "X-Request-Id", "Range"],
)
def test_hostile_headers(registry, client, header):
    asked = {"table_name": "t", "uri": registry.parquet("1"), "format": "parquet"}
    for value in (b"", b"\xff\xfe", b"a" * 60_000, b'"' * 100, b"*", b"W/", b"bytes=-1-"):
        for answer in (
            client.get("/api/v1/tables/t/snapshots/latest", headers={header: value}),
            client.post(REGISTER, json=asked, headers={header: value}),
        ):
            assert answer.status_code < 500, (value, answer.text)
            assert answer.headers["x-request-id"].isascii()

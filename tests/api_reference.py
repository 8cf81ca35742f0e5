"""Writes docs/reference/registry-api.md from what the registry says of itself (OpenAPI).

    python -m tests.api_reference

A test holds the page against it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datacachalog.server.app import create_app
from datacachalog.server.database import Database, sqlite_url
from tests.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = "docs/reference/registry-api.md"
_HEAD = """\
# The registry's API

What a registry answers that [`datlake serve`](../how-to/registry.md) runs. It tells the same of
itself as OpenAPI at `/openapi.json`, to be tried at `/docs`. This page is made from that.

Every request but those to `/healthz` and `/readyz` has a header `Authorization: Bearer KEY`. Every
answer has an `X-Request-Id`, the one of the request if that has one. Writes take an
`Idempotency-Key`: a request that is sent again with the same key, within 30 days, changes nothing
more, and gets the first one's answer. Lists come in pages; the address of the next one is in the
`Link` header.

An error is a JSON object of the type `application/problem+json` (RFC 9457) with a `code` that stays
the same, a `detail` for people, and the `request_id`. Every request may be answered with 401 (no
valid credentials), 422 (not valid) and 503 (something that the registry needs does not answer now),
and one with a body with 400 (it cannot be read) and 413 (it is too large). What else may come is
told with each.
"""
_COMMON = {"400", "401", "413", "422", "503"}
_TOLD = {"Idempotency-Key"}  # at the head of the page, of all writes
_REFUSAL = "application/problem+json"


def openapi() -> dict[str, Any]:
    """What the registry says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(sqlite_url(Path(folder) / "registry.sqlite"))
        try:
            return create_app(database, None).openapi()
        finally:
            database.close()


def page(document: Mapping[str, Any]) -> str:
    """The reference page of an OpenAPI document."""
    operations = [
        (operation.get("tags", ["more"])[0], f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    lines = [_HEAD]
    for tag in dict.fromkeys(tag for tag, _, _ in operations):
        lines += [f"## {tag.capitalize()}", ""]
        for of, heading, operation in operations:
            if of == tag:
                lines += _operation(heading, operation)
    lines += ["## Shapes", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += _shape(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _operation(heading: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### `{heading}`", "", _text(operation["description"]), "")
    given = operation.get("parameters", ())
    if parameters := [one for one in given if one["name"] not in _TOLD]:
        yield from ("| parameter | in | type | meaning |", "|---|---|---|---|")
        for one in parameters:
            kind = _type(one["schema"])
            if not one.get("required"):
                kind = f"{kind.removesuffix(' or null')}, optional"
            told = _text(one.get("description", "")).replace("\n", " ")
            yield f"| `{one['name']}` | {one['in']} | {kind} | {told} |"
        yield ""
    if body := operation.get("requestBody"):
        yield from (f"Body: {_content(body)}", "")
    yield from ("| answer | what it is |", "|---|---|")
    for status, answer in sorted(operation["responses"].items()):
        content = _content(answer)
        if _REFUSAL in content:
            if status in _COMMON:
                continue
            content = ""
        told = (
            _text(answer["description"]).replace("\n", " ").replace("Successful Response", "done")
        )
        yield f"| {status} | {told}{f': {content}' if content else ''} |"
    yield ""


def _shape(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "")
    if told := schema.get("description"):
        yield from (_text(told), "")
    if "properties" not in schema:
        yield from (_type(schema), "")
        return
    yield from ("| member | type | meaning |", "|---|---|---|")
    required = schema.get("required", ())
    for member, one in schema["properties"].items():
        told = _text(one.get("description", "")).replace("\n", " ")
        for example in one.get("examples", ())[:1]:
            told = f"{told}{'; ' if told else ''}such as `{example}`"
        needed = "" if member in required else ", optional"
        yield f"| `{member}` | {_type(one)}{needed} | {told} |"
    yield ""


def _content(of: Mapping[str, Any]) -> str:
    kinds = of.get("content", {})
    shown = []
    for kind, one in kinds.items():
        shape = _type(one["schema"]) if one.get("schema") else ""
        shown.append(shape if kind == "application/json" and shape else f"`{kind}` {shape}".strip())
    return ", ".join(dict.fromkeys(shown))


def _type(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": [*choices]} | {"oneOf": [*choices]}:
            return " or ".join(dict.fromkeys(map(_type, choices)))
        case {"enum": [*values]}:
            return " or ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"type": "array"}:
            return f"list of {_type(schema.get('items', {}))}"
        case {"type": str(kind), "format": str(form)}:
            return f"{kind} ({form})"
        case {"type": str(kind)}:
            return kind
    return "any"


def _text(told: str) -> str:
    """A docstring's words, without what it says to programmers."""
    return told.partition("\n\nRaises:")[0].strip().replace("|", "\\|")


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page(openapi()), encoding="utf-8")

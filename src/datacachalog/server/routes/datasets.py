"""Objects: uploaded and read as streams, whatever their size."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from datacachalog.server.describing import refusals
from datacachalog.server.errors import (
    InvalidProblem,
    NotFoundProblem,
    Problem,
    TooSlowProblem,
)
from datacachalog.server.transfer.object_conditions import (
    Conditions,
    Digest,
    expected_digests,
    range_of,
)
from datacachalog.server.transfer.uploads import Stored, Upload, Uploads
from datacachalog.server.web import CallerOf, caller, request_id
from datacachalog.server.writing import write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from datacachalog.domain.objects import ObjectInfo

_BLOCK_BYTES = 1 << 20
_IDLE_S = 60  # of a sender that is silent
_TAGS: dict[str, Any] = {"pattern": r'^(\*|"[!#-~]*")$'}  # in the plainest form
_PATH = "/datasets/{bucket}/{object_path:path}"
_BODY = {
    "requestBody": {
        "description": "The bytes, as they are.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_BYTES = {
    "description": "The bytes.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}
_OVERWRITTEN: dict[int | str, dict[str, Any]] = {
    200: {"model": Stored, "description": "It was written over."}
}
_SEEN: dict[int | str, dict[str, Any]] = {200: _BYTES}
_PART: dict[int | str, dict[str, Any]] = {206: {**_BYTES, "description": "A part of them."}}
_KNOWN: dict[int | str, dict[str, Any]] = {304: {"description": "It is as the reader knows it."}}


class IncompleteProblem(Problem):
    """A body that ends before, or after, its end."""

    status, code, title = 400, "incomplete-body", "The body is not as long as it is said to be"


class Sent(BaseModel):
    """What an upload sends, for the record of its Idempotency-Key."""

    digest: str
    size: int


def uploads(request: Request) -> Uploads:
    """The objects behind the app of this request."""
    found: Uploads = request.app.state.uploads
    return found


def refuse_escaped(request: Request) -> None:
    """Refuses a path whose slashes are escaped: it would mean another object than it looks like.

    Raises:
        InvalidProblem: it is such a path.
    """
    if b"%2f" in request.scope.get("raw_path", b"").lower():
        raise InvalidProblem("the slashes of a path are not to be escaped")


UploadsOf = Annotated[Uploads, Depends(uploads)]
Bucket = Annotated[str, Path(description="`objects`, or a bucket of S3.", examples=["objects"])]
ObjectPath = Annotated[str, Path(description="The object's name.", examples=["a.parquet"])]
Tag = Annotated[str | None, Header(description="Entity tags, or `*`.", json_schema_extra=_TAGS)]


def router(most_bytes: int) -> APIRouter:
    """The routes, with bodies of at most so many bytes."""
    made = APIRouter(tags=["datasets"], dependencies=[Depends(refuse_escaped)])
    made.put(
        _PATH,
        status_code=201,
        response_model=Stored,
        max_body_size=most_bytes,
        openapi_extra=_BODY,
        responses=_OVERWRITTEN | refusals(400, 403, 404, 408, 409, 412, 413, 502, 507),
    )(put_object)
    seen = refusals(403, 404, 409, 412, 502)
    made.get(
        _PATH,
        response_class=Response,
        responses=_SEEN | _PART | _KNOWN | seen | refusals(416),
    )(get_object)
    made.head(_PATH, response_class=Response, responses=_SEEN | _KNOWN | seen)(head_object)
    return made


async def put_object(
    bucket: Bucket,
    object_path: ObjectPath,
    caller_of: CallerOf,
    uploads: UploadsOf,
    request: Request,
    if_none_match: Tag = None,  # noqa: ARG001 - both are told in the documentation
    if_match: Tag = None,  # noqa: ARG001
) -> Response:
    """Uploads an object, whole or not at all; with `If-None-Match: *` only if there is none.

    `Content-Digest` (RFC 9530), by SHA-256 or SHA-512, is compared with what came.
    """
    conditions, digest = Conditions.of(request.headers), Digest(expected_digests(request.headers))
    _refuse_odd(request)
    upload = await run_in_threadpool(
        uploads.begin,
        caller_of,
        (bucket, object_path),
        None if "idempotency-key" in request.headers else conditions,
        size_bytes=_length(request),
        request_id=request_id(request),
    )
    try:
        await _taken_in(request, upload, digest)
        answer = await run_in_threadpool(_published, request, uploads, upload, conditions, digest)
    except asyncio.CancelledError:  # the server ends, and waits for nothing any more
        uploads.end(upload)
        raise
    except BaseException:
        await run_in_threadpool(uploads.end, upload)
        raise
    await run_in_threadpool(uploads.end, upload)
    return answer


def _published(
    request: Request, uploads: Uploads, upload: Upload, conditions: Conditions, digest: Digest
) -> Response:
    who = caller(request)  # again: much time may have gone by, and the key with it
    answer = write(
        request,
        who,
        Sent(digest=digest.text, size=digest.size_bytes),
        lambda connection: uploads.publish(connection, who, upload, conditions, digest),
        lock=upload.place.uri.as_uri(),
    )
    request.app.state.metrics.uploaded(digest.size_bytes)
    return answer


async def _taken_in(request: Request, upload: Upload, digest: Digest) -> None:
    """Writes the body as it comes; then compares it with what was said of it."""

    def write_block(data: bytes) -> None:
        digest.update(data)
        upload.incoming.write(data)

    block = bytearray()
    try:
        async for chunk in _chunks(request):
            block += chunk
            if len(block) >= _BLOCK_BYTES:
                await run_in_threadpool(write_block, bytes(block))
                block.clear()
    except ClientDisconnect as error:
        raise IncompleteProblem("the connection ended before the body") from error
    await run_in_threadpool(write_block, bytes(block))
    if _length(request) not in {None, digest.size_bytes}:
        raise IncompleteProblem(f"{digest.size_bytes} bytes came, and {_length(request)} were told")
    digest.refuse_other()
    await run_in_threadpool(upload.incoming.finish)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    async with aclosing(request.stream()) as stream:
        while True:
            try:
                async with asyncio.timeout(_IDLE_S):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise TooSlowProblem(f"nothing came for {_IDLE_S} s") from error
            yield chunk


def get_object(
    bucket: Bucket,
    object_path: ObjectPath,
    caller: CallerOf,
    uploads: UploadsOf,
    request: Request,
) -> Response:
    """Reads an object, or one range of its bytes."""
    place, found = _found(uploads, caller, bucket, object_path)
    if (known := _unless_known(request, found)) is not None:
        return known
    span = range_of(request.headers, found)
    start, end = span or (0, found.size_bytes)
    headers = _headers(found, object_path) | {"Content-Length": str(end - start)}
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size_bytes}"
    body = uploads.bytes_of(place, start, end, found)
    return StreamingResponse(
        request.app.state.metrics.downloading(body),
        206 if span else 200,
        headers,
        media_type="application/octet-stream",
    )


def head_object(
    bucket: Bucket,
    object_path: ObjectPath,
    caller: CallerOf,
    uploads: UploadsOf,
    request: Request,
) -> Response:
    """Says of an object what reading it would."""
    _, found = _found(uploads, caller, bucket, object_path)
    if (known := _unless_known(request, found)) is not None:
        return known
    headers = _headers(found, object_path) | {"Content-Length": str(found.size_bytes)}
    return Response(None, 200, headers, media_type="application/octet-stream")


def _found(uploads: Uploads, caller: CallerOf, bucket: str, path: str) -> Any:
    place = uploads.readable(caller, bucket, path)
    found = uploads.info(place)
    if found is None:
        raise NotFoundProblem(f"there is no object {path!r} in the bucket {bucket!r}")
    return place, found


def _unless_known(request: Request, found: ObjectInfo) -> Response | None:
    conditions = Conditions.of(request.headers)
    conditions.refuse_match(found)
    if not conditions.knows(found):
        return None
    return Response(status_code=304, headers=_caching(found))


def _caching(found: ObjectInfo) -> dict[str, str]:
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
    return headers if found.etag is None else {**headers, "ETag": found.etag}


def _headers(found: ObjectInfo, path: str) -> dict[str, str]:
    """With these no browser shows what somebody else has uploaded; it saves it."""
    name = quote(path.rpartition("/")[2], safe="")
    return _caching(found) | {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }


def _refuse_odd(request: Request) -> None:
    """Refuses what would store other bytes, or another name, than the sender may think."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidProblem("a body with a Content-Encoding is not taken: send the bytes as such")
    if "content-range" in request.headers:
        raise InvalidProblem("an object is written as a whole: Content-Range is not known here")


def _length(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() else None

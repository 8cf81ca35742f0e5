"""What runs behind the shim: a child a job, read from standard input, answered on standard output.

Run by `tests.faults.shim.Nursery`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from datacachalog import Catalog, DatacachalogError, Dataset

if TYPE_CHECKING:
    from collections.abc import Callable


def fetch(source: str, cache_dir: str) -> dict[str, Any]:
    """Fetches a dataset."""
    fetched = _catalog(source, cache_dir).obtain("customers")
    return {"path": str(fetched.path), "outcome": fetched.outcome.value}


def push(source: str, cache_dir: str, file: str) -> dict[str, Any]:
    """Fetches a dataset, and replaces it."""
    catalog = _catalog(source, cache_dir)
    catalog.fetch("customers")
    return {"path": str(catalog.push("customers", file).entry.path)}


def clear(source: str, cache_dir: str) -> dict[str, Any]:
    """Removes every entry."""
    return {"freed": _catalog(source, cache_dir).cache.clear()}


def invalidate(source: str, cache_dir: str) -> dict[str, Any]:
    """Forgets what is current, and fetches it again."""
    catalog = _catalog(source, cache_dir)
    catalog.invalidate("customers")
    return fetch(source, cache_dir)


def verify(source: str, cache_dir: str) -> dict[str, Any]:
    """Removes what is damaged, and fetches it again."""
    catalog = _catalog(source, cache_dir)
    found = catalog.verify(repair=True)
    return {"damaged": [len(one.damaged) for one in found]}


def gc(source: str, cache_dir: str) -> dict[str, Any]:
    """Removes what is superseded, and fetches."""
    catalog = _catalog(source, cache_dir)
    removed = len(catalog.gc().removed)
    with catalog.pinned("customers") as path:
        return {"path": str(path), "removed": removed}


WORKS: dict[str, Callable[..., dict[str, Any]]] = {
    work.__name__: work for work in (fetch, push, clear, invalidate, verify, gc)
}


def _catalog(source: str, cache_dir: str) -> Catalog:
    return Catalog([Dataset("customers", source)], cache_dir=cache_dir)


def _told(work: str, options: dict[str, str]) -> dict[str, Any]:
    try:
        return WORKS[work](**options)
    except DatacachalogError as error:
        return {"error": error.code, "message": str(error)}
    except Exception as error:  # what is not ours is what the test looks for
        return {"raw": repr(error)}


def _do(job: dict[str, Any], answer: int, log: int) -> None:
    os.environ.clear()
    os.environ.update(job["environ"])
    fault = job["fault"]
    arm = ctypes.CDLL(None).fault_arm
    arm(
        os.fsencode(fault["root"]),
        fault["kind"],
        ctypes.c_long(fault["position"]),
        fault["error_number"],
        fault["operation"].encode(),
        log,
    )
    told = _told(job["work"], job["options"])
    arm(b"", 0, ctypes.c_long(0), 0, b"", -1)
    os.write(answer, json.dumps(told).encode())


def main() -> None:
    """Does one job after another until its input ends."""
    for module in ("s3", "filesystem", "object_store", "s3_boto"):
        importlib.import_module(f"datacachalog.adapters.storage.{module}")
    for line in sys.stdin:
        with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as log:
            if (pid := os.fork()) == 0:
                try:
                    _do(json.loads(line), answer.fileno(), log.fileno())
                finally:
                    os._exit(0)
            _, status = os.waitpid(pid, 0)
            answer.seek(0)
            log.seek(0)
            ended = {
                "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
                "told": json.loads(answer.read() or b"{}"),
                "calls": log.read().decode(errors="replace").splitlines(),
            }
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

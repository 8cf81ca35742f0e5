"""How a measured program reports the part that counts."""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def work() -> Iterator[None]:
    """Prints the time that the block took: what was imported before it does not count."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"work_s": wall, "work_cpu_s": cpu}))


def repeat(count: int, call: Callable[[], object]) -> None:
    """Prints the median time of one call, in microseconds, of `count` calls after one more."""
    call()
    times = []
    for _ in range(count):
        begun = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begun)
    if times:
        print(json.dumps({"median_us": statistics.median(times) / 1000}))

"""What big and many transfers take of a process: memory, threads, descriptors."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import pytest
from blake3 import blake3

from datacachalog import DatacachalogError
from datacachalog.testing.payloads import payload
from tests.integration.support import BIG, MIB, is_later_part, output, started
from tests.servers.exchange import Reply, Script

HUGE = 256 * MIB

MEASURED_FETCH = """
import sys
from datacachalog import Catalog, Dataset
from tests.integration.support import peak_memory_bytes

catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
entry = catalog.obtain("customers").entry
print(peak_memory_bytes(), entry.digest, entry.path)
"""

MEASURED_FETCH_ALL = """
import sys
from datacachalog import Catalog, Dataset
from tests.integration.support import peak_memory_bytes

datasets = [Dataset(f"table-{n}", f"{sys.argv[1]}-{n}") for n in range(24)]
Catalog(datasets, cache_dir=sys.argv[2]).fetch_all()
print(peak_memory_bytes())
"""


def test_a_huge_object_takes_little_memory_and_its_digest_is_recorded(remote, cache_dir):
    data = payload(1, HUGE)
    remote.put_bytes(data)

    environ = remote.server.environment()
    printed = output(started(MEASURED_FETCH, remote.source, cache_dir, environ=environ), 100)

    peak, digest, path = printed.split()
    assert int(peak) < 150 * MIB
    assert blake3(data).hexdigest() == digest
    assert data == Path(path).read_bytes()


@pytest.mark.parametrize("ignored", ["Range", "strong tags"])
def test_one_stream_takes_no_more(remote, cache_dir, ignored):
    data = payload(1, HUGE)
    remote.put_bytes(data)
    remote.proxy.hook = lambda exchange: (
        Script(headers={"ETag": 'W/"weak"'}) if ignored == "strong tags" else None
    )
    if ignored == "Range":
        body = Reply(200, data, {"ETag": '"strong"'})
        remote.proxy.hook = lambda _: Script(reply=body)

    peak, digest, _ = output(started(MEASURED_FETCH, remote.source, cache_dir), 100).split()

    assert int(peak) < 150 * MIB
    assert blake3(data).hexdigest() == digest


def test_many_objects_at_once_take_a_bounded_amount(remote, cache_dir):
    """16 first parts of 4 MiB at once, 8 others, and Python itself."""
    for number in range(24):
        remote.client.put_object(
            Bucket=remote.bucket, Key=f"{remote.key}-{number}", Body=payload(number, BIG)
        )

    environ = remote.server.environment()
    program = started(MEASURED_FETCH_ALL, remote.source, cache_dir, environ=environ)

    assert int(output(program, 100)) < 350 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
def test_transfers_that_fail_leave_no_thread_or_descriptor_behind(remote, catalog, tmp_path):
    remote.put(1, BIG)
    (tmp_path / "new").write_bytes(payload(2, BIG))
    faults = cycle([Script(reply=Reply(403)), Script(cut_after=1000), None])
    remote.proxy.hook = lambda one: next(faults) if is_later_part(one) else None

    def fail() -> None:
        for _ in range(3):
            with suppress(DatacachalogError):
                catalog.fetch("customers", refresh=True)
            with suppress(DatacachalogError):
                catalog.push("customers", tmp_path / "new", expect="absent")
            catalog.cache.clear()

    fail()
    before = _threads_and_descriptors()
    for _ in range(3):
        fail()

    assert _threads_and_descriptors() <= before


def _threads_and_descriptors() -> int:
    own = [each for each in threading.enumerate() if "datacachalog" in each.name]
    ours = [each for each in Path("/proc/self/fd").iterdir() if _is_in_cache(each)]
    return len(own) + len(ours)


def _is_in_cache(descriptor: Path) -> bool:
    with suppress(OSError):  # it was closed meanwhile
        return "/cache/" in str(descriptor.readlink())
    return False

"""Links that several processes move while others read through them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.view import DirectoryView
from datacachalog.testing.payloads import payload, seed_of
from datacachalog.testing.sources import NOON, SECOND, publish

if TYPE_CHECKING:
    from pathlib import Path

SWAP = """
import sys, time
from pathlib import Path
from datacachalog.adapters.view import DirectoryView
view, paths, count = DirectoryView(Path(sys.argv[1])), sys.argv[2:], 0
print("begun", flush=True)
end = time.monotonic() + 3
while time.monotonic() < end or count <= 100:  # however slow it is
    count += view.show("customers.parquet", Path(paths[count % len(paths)]))
    if view.show("customers.parquet", Path(paths[(count + 1) % len(paths)])):
        count += 1
print(count)
"""

READ = """
import sys, time
from datacachalog.testing.payloads import seed_of
count, end = 0, time.monotonic() + 3
while time.monotonic() < end or count <= 100:
    with open(sys.argv[1], "rb") as file:
        seed_of(file.read())
    count += 1
print(count)
"""

FETCH = """
import sys
from datacachalog import Catalog, Dataset
catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2], view=sys.argv[3])
for _ in range(30):
    catalog.fetch("customers")
"""


def _run(*programs: list[str]) -> list[str]:
    """What programs print that run at the same time; each must succeed."""
    started = [
        subprocess.Popen([sys.executable, "-c", *program], stdout=subprocess.PIPE, text=True)
        for program in programs
    ]
    printed = [process.communicate(timeout=100)[0] for process in started]
    assert [0] * len(started) == [process.returncode for process in started]
    return printed


def test_no_reader_of_a_link_ever_misses_it_while_it_is_moved(tmp_path: Path):
    cache, folder = DirectoryCache(tmp_path / "cache"), tmp_path / "view"
    paths = [publish(cache, payload(n, 20_000), at=NOON + n * SECOND).path for n in range(3)]
    link = folder / "customers.parquet"
    DirectoryView(folder).show(link.name, paths[0])

    swapped, other, *read = _run(
        *[[SWAP, str(folder), *map(str, order)] for order in (paths, paths[::-1])],
        *[[READ, str(link)] for _ in range(3)],
    )

    assert min(int(text.split()[-1]) for text in (swapped, other)) > 100
    assert min(map(int, read)) > 100
    assert {".gitignore", link.name} == {path.name for path in folder.iterdir()}


def test_processes_that_fetch_leave_the_link_at_the_current_copy(tmp_path: Path):
    source, folder = tmp_path / "customers.bin", tmp_path / "view"
    source.write_bytes(payload(0, 5000))
    program = [FETCH, str(source), str(tmp_path / "cache"), str(folder)]
    changing = f"""
import os, time
from pathlib import Path
from datacachalog.testing.payloads import payload
for n in range(1, 20):
    Path({str(tmp_path / "new")!r}).write_bytes(payload(n, 5000))
    os.replace({str(tmp_path / "new")!r}, {str(source)!r})
    time.sleep(0.02)
"""

    _run(program, program, program, [changing])
    _run(program)

    assert 19 == seed_of((folder / "customers.bin").read_bytes())

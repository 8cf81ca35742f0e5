"""Processes that share a cache of metadata, and are killed at it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from datacachalog.adapters.api.metadata import MetadataCache
from tests.integration.support import wait_until

_WRITER = """
import itertools, sys
from datetime import UTC, datetime
from pathlib import Path
from datacachalog.adapters.api.metadata import Latest, MetadataCache
from datacachalog.domain.registry import Snapshot
cache, now = MetadataCache(Path(sys.argv[1]), "http://registry", "key"), datetime.now(UTC)
print("ready", flush=True)
for seq in itertools.count(1):
    wide = {"fields": [{"name": "x" * 50_000, "type": str(seq), "nullable": True}]}
    one = Snapshot("t", f"snap-{seq % 5:032x}", "s3://a/b", "csv", now, 1, seq, schema=wide)
    cache.keep(one)
    cache.keep_latest(Latest(one, None, now))
"""


def test_writers_that_are_killed_leave_only_whole_files(tmp_path):
    root = tmp_path / "cache"
    for _ in range(8):
        command = [sys.executable, "-c", _WRITER, str(root)]
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        for one in writers:
            assert one.stdout is not None
            assert one.stdout.readline() == b"ready\n"
        wait_until(lambda: MetadataCache(root, "http://registry", "key").latest("t") is not None)
        time.sleep(0.05)
        for one in writers:
            one.kill()
            one.communicate()

    found = [path for path in root.rglob("*.json") if path.parent.name != "aside"]
    assert 2 <= len(found) <= 6
    for path in found:
        assert json.loads(path.read_text())
    cache = MetadataCache(root, "http://registry", "key")
    latest = cache.latest("t")
    assert latest is not None
    assert latest.snapshot == cache.snapshot("t", latest.snapshot.snapshot_id)


def test_readers_beside_writers_see_whole_snapshots(tmp_path):
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for one in writers:
            assert one.stdout is not None
            assert one.stdout.readline() == b"ready\n"
        cache = MetadataCache(tmp_path, "http://registry", "key")
        seen: set[int] = set()
        until = time.monotonic() + 60
        while len(seen) < 20 and time.monotonic() < until:
            if (latest := cache.latest("t")) is not None:
                assert latest.snapshot.schema is not None
                assert str(latest.snapshot.seq) == latest.snapshot.schema["fields"][0]["type"]
                seen.add(latest.snapshot.seq)
    finally:
        for one in writers:
            one.kill()
            one.communicate()

    assert len(seen) >= 20

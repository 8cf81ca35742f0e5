from __future__ import annotations

import errno
import json
import os
import stat
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.adapters.api import metadata, metadata_files
from datacachalog.adapters.api.metadata import Held, Latest, MetadataCache
from datacachalog.domain.errors import CacheError, CachePermissionError, UnsafeCacheError
from datacachalog.domain.registry import Snapshot
from datacachalog.testing.payloads import at_once
from tests.unit.adapters.other_processes import as_nobody, on_a_full_disk

NOON = datetime(2026, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)
REGISTRY = "https://datlake.example.com"
KEY = f"dlk_{'k' * 12}_{'s' * 43}"
ONE = Snapshot(
    table_name="people",
    snapshot_id=f"snap-{1:032x}",
    uri="s3://lake/people/1.parquet",
    format="parquet",
    created_at=NOON,
    size_bytes=1 << 40,
    seq=1,
    row_count=3,
    etag='"abc"',
    version="v1",
    schema={"fields": [{"name": "näme \ud800", "type": "string", "nullable": True}]},
)
TWO = replace(ONE, snapshot_id=f"snap-{2:032x}", seq=2, parent_id=ONE.snapshot_id, schema=None)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "home" / "cache"


@pytest.fixture
def cache(root):
    return MetadataCache(root, REGISTRY, KEY)


def files_in(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_what_is_kept_is_there_for_whoever_comes_next(cache, root):
    cache.keep(ONE)
    cache.keep_latest(Latest(TWO, '"7"', NOON))

    found = MetadataCache(root, REGISTRY, KEY)

    assert [ONE, TWO] == [found.snapshot("people", one.snapshot_id) for one in (ONE, TWO)]
    assert Latest(TWO, '"7"', NOON) == found.latest("people") == found.latest("default.people")


def test_nothing_is_touched_before_something_is_kept(cache, root):
    assert None is cache.snapshot("people", ONE.snapshot_id)
    assert None is cache.latest("people")
    assert None is cache.sample_get("people", ONE.snapshot_id, 1)
    cache.forget("people")
    cache.forget_latest("people")
    assert Held() == cache.held() == cache.clear() == cache.clear("people")

    assert not root.parent.exists()


def test_a_person_finds_what_is_there(cache, root):
    cache.keep_latest(Latest(ONE, '"7"', NOON))
    cache.sample_put("people", ONE.snapshot_id, [{"id": 1}])

    found = [path.relative_to(root / "v1").parts for path in files_in(root)]

    registry, credentials, table = found[0][:3]
    assert registry.startswith("datlake.example.com-")
    assert credentials.startswith("key-")
    assert table.startswith("people-")
    assert [
        ("latest.json",),
        (ONE.snapshot_id, "sample.json"),
        (ONE.snapshot_id, "snapshot.json"),
    ] == sorted(parts[3:] for parts in found)
    assert {(registry, credentials, table)} == {parts[:3] for parts in found}


def test_nobody_else_may_look(cache, root):
    was = os.umask(0)
    try:
        cache.keep_latest(Latest(ONE, '"7"', NOON))
    finally:
        os.umask(was)

    folders = {path for path in root.rglob("*") if path.is_dir()} | {root, root.parent}
    assert {0o700} == {stat.S_IMODE(path.stat().st_mode) for path in folders}
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in files_in(root)}


def test_a_folder_that_others_may_look_into_is_closed_to_them(cache, root):
    cache.keep(ONE)
    (root / "v1").chmod(0o755)

    assert ONE == cache.snapshot("people", ONE.snapshot_id)
    cache.keep(TWO)

    assert 0o700 == stat.S_IMODE((root / "v1").stat().st_mode)


@pytest.mark.parametrize(
    ("registry", "key"),
    [
        ("https://other.example.com", KEY),
        ("http://datlake.example.com", KEY),
        (REGISTRY, KEY[:-1] + "t"),
        (REGISTRY, None),
        (REGISTRY + "d", KEY[1:]),
    ],
)
def test_no_caller_sees_what_another_was_told(cache, root, registry, key):
    cache.keep_latest(Latest(ONE, '"7"', NOON))
    cache.sample_put("people", ONE.snapshot_id, [{"id": 1}])

    other = MetadataCache(root, registry, key)

    assert None is other.snapshot("people", ONE.snapshot_id)
    assert None is other.latest("people")
    assert None is other.sample_get("people", ONE.snapshot_id, 1)


def test_tables_whose_names_look_alike_are_told_apart(cache):
    names = ["CON", "con", "a.b", "a-b", "a_b", "a", "A", "x" * 100, "x" * 101, "..", "a/b", "ä"]
    made = {name: replace(ONE, table_name=name, seq=seq) for seq, name in enumerate(names, 1)}
    for one in made.values():
        cache.keep(one)

    assert made == {name: cache.snapshot(name, ONE.snapshot_id) for name in names}


names = st.text(max_size=300)


@given(names, names)
def test_any_name_is_a_name_of_a_file_and_another_one_for_any_other(one, other):
    found = metadata._named(one)

    assert 0 < len(found.encode()) < 100
    assert found == found.lower().strip(". ")
    assert "/" not in found
    assert found.isascii()
    assert (one == other) is (found == metadata._named(other))


@pytest.mark.parametrize(
    "snapshot_id", ["", "..", "../../x", "CON", "a/b", "latest.json", "x" * 999]
)
def test_any_id_is_a_folder_of_its_own(cache, root, snapshot_id):
    one = replace(ONE, snapshot_id=snapshot_id)
    cache.keep(one)
    cache.keep_latest(Latest(ONE, None, NOON))

    assert one == cache.snapshot("people", snapshot_id)
    assert Latest(ONE, None, NOON) == cache.latest("people")
    assert [5, 6, 6] == sorted(len(path.relative_to(root).parts) for path in files_in(root))


DAMAGE = {
    "empty": b"",
    "cut": b'{"format": 1, "regi',
    "no JSON": b"\x80\x04\x95.",
    "no object": b"[1, 2]",
    "nothing in it": b"{}",
    "deep": b"[" * 100_000,
    "long number": b'{"format": ' + b"1" * 5_000 + b"}",
    "zeros": bytes(4096),
}


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("name", ["snapshot.json", "latest.json", "sample.json"])
def test_what_cannot_be_read_is_a_miss_and_is_written_anew(cache, root, data, name, caplog):
    latest = Latest(ONE, '"7"', NOON)
    cache.keep_latest(latest)
    cache.sample_put("people", ONE.snapshot_id, [{"id": 1}])
    (path,) = root.rglob(name)
    path.write_bytes(data)

    found = {
        "snapshot.json": cache.snapshot("people", ONE.snapshot_id),
        "latest.json": cache.latest("people"),
        "sample.json": cache.sample_get("people", ONE.snapshot_id, 1),
    }

    assert None is found[name]
    cache.keep_latest(latest)
    cache.sample_put("people", ONE.snapshot_id, [{"id": 1}])
    assert latest == cache.latest("people")
    assert [{"id": 1}] == cache.sample_get("people", ONE.snapshot_id, 1)
    assert [] == caplog.records


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"registry": "https://elsewhere.example.com"},
        {"table": "others"},
        {"snapshot": None},
        {"snapshot": []},
    ],
)
def test_what_is_not_ours_is_a_miss(cache, root, change):
    cache.keep(ONE)
    (path,) = files_in(root)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    assert None is cache.snapshot("people", ONE.snapshot_id)


@pytest.mark.parametrize(
    "change",
    [
        {"table_name": "others"},
        {"snapshot_id": TWO.snapshot_id},
        {"uri": None},
        {"seq": "1"},
        {"seq": True},
        {"size_bytes": 1.5},
        {"created_at": "2026-11-21T12:00:00"},
        {"created_at": "noon"},
        {"schema": "id int"},
        {"etag": 7},
    ],
)
def test_a_snapshot_that_makes_no_sense_is_a_miss(cache, root, change):
    cache.keep(ONE)
    (path,) = files_in(root)
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"snapshot": found["snapshot"] | change}))

    assert None is cache.snapshot("people", ONE.snapshot_id)


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot_id": TWO.snapshot_id},
        {"snapshot_id": 1},
        {"etag": 1},
        {"checked_at": None},
        {"checked_at": "noon"},
        {"checked_at": "2026-11-21T12:00:00"},
    ],
)
def test_a_latest_that_makes_no_sense_is_a_miss(cache, root, change):
    cache.keep_latest(Latest(ONE, '"7"', NOON))
    (path,) = root.rglob("latest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    assert None is cache.latest("people")


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "huge"])
def test_what_is_no_file_is_a_miss(cache, root, tmp_path, kind):
    cache.keep(ONE)
    (path,) = files_in(root)
    elsewhere = path.rename(tmp_path / "elsewhere.json")
    if kind == "link":
        path.symlink_to(elsewhere)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(elsewhere.read_bytes() + b" " * metadata_files.MAX_BYTES)

    assert None is cache.snapshot("people", ONE.snapshot_id)


def test_a_schema_of_ten_thousand_columns_is_kept(cache):
    columns = [
        {"name": f"c{i}" + "x" * 90, "type": "string", "nullable": True} for i in range(10_000)
    ]
    wide = replace(ONE, schema=MappingProxyType({"fields": columns}))

    cache.keep(wide)

    assert wide == cache.snapshot("people", ONE.snapshot_id)


def test_what_is_too_large_is_not_kept(cache, root, caplog):
    cache.keep(replace(ONE, uri="s3://lake/" + "x" * metadata_files.MAX_BYTES))

    assert None is cache.snapshot("people", ONE.snapshot_id)
    assert [] == files_in(root)
    assert [] == caplog.records


def test_a_sample_is_the_first_rows(cache):
    rows = [{"id": number, "name": None, "tags": ["a"], "x": 0.5} for number in range(5)]
    assert cache.sample_put("people", ONE.snapshot_id, rows)

    def ask(count, table="people", snapshot_id=ONE.snapshot_id):
        return cache.sample_get(table, snapshot_id, count)

    assert rows[:3] == ask(3)
    assert rows == ask(5) == ask(5, "default.people")
    assert None is ask(6)
    assert None is ask(1, "others")
    assert None is ask(1, "people", TWO.snapshot_id)


def test_a_whole_table_is_a_sample_of_any_size(cache):
    cache.sample_put("people", ONE.snapshot_id, [{"id": 1}], is_whole=True)
    cache.sample_put("people", TWO.snapshot_id, [], is_whole=True)

    assert [{"id": 1}] == cache.sample_get("people", ONE.snapshot_id, 100)
    assert [] == cache.sample_get("people", TWO.snapshot_id, 100)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), b"1", NOON, {1}, "x" * metadata.MAX_SAMPLE_BYTES]
)
def test_what_json_cannot_say_or_is_too_much_is_no_sample(cache, root, value):
    assert not cache.sample_put("people", ONE.snapshot_id, [{"a": value}])

    assert [] == files_in(root)


def test_what_is_held_is_counted_by_table_or_in_all(cache, root):
    cache.keep_latest(Latest(ONE, None, NOON))
    cache.sample_put("people", ONE.snapshot_id, [{"id": 1}])
    others = MetadataCache(root, REGISTRY, "another key")
    others.keep(TWO)
    others.keep(replace(ONE, table_name="others"))
    MetadataCache(root, "http://127.0.0.1:8000", KEY).keep(ONE)

    total = sum(path.stat().st_size for path in files_in(root))
    assert Held(4, 1, total) == cache.held()
    assert (2, 1) == (cache.held("people").snapshots, cache.held("default.people").samples)
    assert 0 < cache.held("others").size_bytes < cache.held("people").size_bytes < total


def test_a_table_is_cleared_whoever_asked_and_nothing_else(cache, root):
    others, elsewhere = MetadataCache(root, REGISTRY, "k"), MetadataCache(root, "http://e", KEY)
    other = replace(ONE, table_name="others")
    for one in (cache, others, elsewhere):
        one.keep_latest(Latest(ONE, None, NOON))
        one.keep_latest(Latest(other, None, NOON))
    was = cache.held("people")

    assert was == cache.clear("people")

    assert (2, 0) == (was.snapshots, was.samples)
    assert Held() == cache.held("people")
    assert None is cache.latest("people") is others.latest("people")
    assert [other, other] == [one.snapshot("others", ONE.snapshot_id) for one in (cache, others)]
    assert ONE == elsewhere.snapshot("people", ONE.snapshot_id)


def test_all_is_cleared_and_nothing_that_is_not_ours(cache, root):
    root.mkdir(parents=True)
    (root / "notes.txt").write_text("mine")
    cache.keep_latest(Latest(ONE, None, NOON))
    MetadataCache(root, "http://e", None).keep(ONE)

    assert 2 == cache.clear().snapshots

    assert Held() == cache.held()
    assert [root / "notes.txt"] == files_in(root)
    cache.keep(ONE)
    assert ONE == cache.snapshot("people", ONE.snapshot_id)


def test_only_so_many_snapshots_of_a_table_are_kept(cache, monkeypatch):
    monkeypatch.setattr(metadata, "MOST_SNAPSHOTS", 3)
    made = [replace(ONE, snapshot_id=f"snap-{number:032x}") for number in range(6)]
    for one in made:
        cache.keep_latest(Latest(one, None, NOON))

    held = [cache.snapshot("people", one.snapshot_id) for one in made]

    assert made[-2:] == held[-2:]
    assert [None] * 3 == held[:3]
    assert Latest(made[-1], None, NOON) == cache.latest("people")


def test_only_so_many_callers_are_remembered(root, monkeypatch):
    monkeypatch.setattr(metadata, "MOST_CREDENTIALS", 3)
    tokens = [f"token {number}" for number in range(6)]
    for token in tokens:
        MetadataCache(root, REGISTRY, token).keep(ONE)

    (folder,) = [path for path in (root / "v1").iterdir() if path.name != "aside"]
    assert 3 == len(list(folder.iterdir()))
    assert ONE == MetadataCache(root, REGISTRY, tokens[-1]).snapshot("people", ONE.snapshot_id)


def _links_v1(root, tmp_path):
    (root / "v1").rename(tmp_path / "v1")
    (root / "v1").symlink_to(tmp_path / "v1")


def _is_a_file(root, tmp_path):
    (root / "v1").rename(tmp_path / "v1")
    (root / "v1").write_text("")


def _opens_root(root, tmp_path):
    root.chmod(0o777)


def _opens_v1(root, tmp_path):
    (root / "v1").chmod(0o770)


UNSAFE = [_links_v1, _is_a_file, _opens_root, _opens_v1]


@pytest.mark.parametrize("harm", UNSAFE)
def test_a_folder_that_is_not_safe_is_not_used(cache, root, tmp_path, harm, caplog):
    cache.keep(ONE)
    harm(root, tmp_path)
    before = files_in(tmp_path)

    assert None is cache.snapshot("people", ONE.snapshot_id)
    cache.keep(TWO)
    cache.forget("people")

    assert before == files_in(tmp_path)
    assert 1 == len(caplog.records)
    assert str(root) in caplog.text
    for act in (cache.held, cache.clear):
        with pytest.raises(CachePermissionError):
            act()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["", "v1"])
def test_the_folder_of_somebody_else_is_not_used(cache, root, name, caplog):
    cache.keep(ONE)
    os.chown(root / name, 65534, 65534)

    assert None is cache.snapshot("people", ONE.snapshot_id)

    assert "belongs to user 65534" in caplog.text
    with pytest.raises(UnsafeCacheError):
        cache.clear()


def test_the_folder_itself_may_be_a_link(cache, root, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    root.parent.mkdir()
    root.symlink_to(tmp_path / "elsewhere")

    cache.keep(ONE)

    assert ONE == cache.snapshot("people", ONE.snapshot_id)
    assert 1 == len(files_in(tmp_path / "elsewhere"))


def test_a_full_disk_is_said_once_and_leaves_nothing(tmp_path):
    lines = on_a_full_disk(
        """
        import logging, sys
        from datetime import UTC, datetime
        from pathlib import Path
        from datacachalog.adapters.api.metadata import Latest, MetadataCache
        from datacachalog.domain.registry import Snapshot
        logging.basicConfig(stream=sys.stdout, format="%(levelname)s")
        cache = MetadataCache(Path(sys.argv[1], "cache"), "http://r", "key")
        now = datetime.now(UTC)
        small = Snapshot("t", "snap-1", "s3://a/b", "csv", now, 1, 1)
        large = Snapshot("t", "snap-2", "s3://a/" + "x" * 200_000, "csv", now, 1, 1)
        for _ in range(2):
            cache.keep_latest(Latest(large, None, now))
        print(cache.snapshot("t", "snap-2"), cache.latest("t"))
        print(cache.sample_put("t", "snap-1", [{"x": "x" * 200_000}]))
        print([path.name for path in cache.folder.rglob("*") if path.stat().st_size > 100_000])
        cache.keep(small)
        print(small == cache.snapshot("t", "snap-1"))
        """,
        tmp_path,
        100,
    )

    assert ["WARNING", "None None", "False", "[]", "True"] == lines


def test_a_cache_that_may_not_be_written_is_read(tmp_path):
    lines = as_nobody(
        """
        import logging
        from datacachalog.adapters.api.metadata import Latest, MetadataCache
        from datacachalog.domain.registry import Snapshot
        logging.basicConfig(stream=sys.stdout, format="%(levelname)s")
        folder = Path(tempfile.mkdtemp())
        cache = MetadataCache(folder, "http://r", "key")
        one = Snapshot("t", "snap-1", "s3://a/b", "csv", NOON, 1, 1)
        cache.keep(one)
        for path in [folder / "v1", *(folder / "v1").rglob("*")]:
            path.chmod(0o500 if path.is_dir() else 0o400)
        print(one == cache.snapshot("t", "snap-1"))
        cache.keep_latest(Latest(one, None, NOON))
        cache.forget("t")
        print(cache.snapshot("t", "snap-1"))
        print(attempt(cache.clear))
        for path in [folder / "v1", *(folder / "v1").rglob("*")]:
            path.chmod(0o700)
        shutil.rmtree(folder)
        """
    )

    assert ["True", "WARNING", "None", "CachePermissionError"] == lines


def test_threads_and_forks_share_a_cache(cache):
    made = [replace(ONE, snapshot_id=f"snap-{number:032x}", seq=number) for number in range(8)]

    def work(number):
        for one in made:
            cache.keep_latest(Latest(one, f'"{number}"', NOON + timedelta(seconds=number)))
            found = cache.latest("people")
            assert found is not None
            assert found.snapshot in made
        return True

    assert [True] * 4 == at_once(4, work)
    children = []
    for number in range(3):
        if (pid := os.fork()) == 0:
            os._exit(0 if work(number) else 1)
        children.append(pid)
    assert [0] * 3 == [os.waitpid(pid, 0)[1] for pid in children]
    assert made == [cache.snapshot("people", one.snapshot_id) for one in made]


def test_what_the_killed_have_left_is_removed_after_an_hour(cache, root):
    cache.keep(ONE)
    aside = root / "v1" / "aside"
    for name, age_s in (("old", 3700), ("new", 10)):
        (aside / name).write_text("{")
        os.utime(aside / name, (time.time() - age_s,) * 2)

    MetadataCache(root, REGISTRY, KEY).keep(TWO)

    assert ["new"] == [path.name for path in aside.iterdir()]


def test_clearing_while_others_write_breaks_neither(cache, root, caplog):
    others = MetadataCache(root, REGISTRY, "another key")

    def work(number):
        for seq in range(60):
            if number == 0:
                cache.clear()
            else:
                others.keep_latest(Latest(replace(ONE, seq=seq), None, NOON))
                found = others.latest("people")
                assert found is None or found.snapshot.uri == ONE.uri
        return True

    assert [True] * 3 == at_once(3, work)

    assert [] == caplog.records
    others.keep(TWO)
    assert TWO == others.snapshot("people", TWO.snapshot_id)


def test_a_folder_that_was_there_a_moment_ago_is_made(cache, monkeypatch, caplog):
    made = Path.mkdir
    met: list[Path] = []

    def mkdir(path: Path, mode: int = 0o777) -> None:
        if path.name != "aside" and not met:
            met.append(path)
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        made(path, mode)

    cache.keep(ONE)
    cache.clear()
    monkeypatch.setattr(Path, "mkdir", mkdir)
    cache.keep(ONE)

    assert (ONE, 1) == (cache.snapshot("people", ONE.snapshot_id), len(met))
    assert [] == caplog.records


def test_an_error_of_the_disk_is_one_of_the_cache(cache, monkeypatch):
    cache.keep(ONE)

    def rename(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pathlib.Path.rename", rename)

    with pytest.raises(CacheError, match="Input/output error"):
        cache.clear()

"""Caches of somebody else, and what somebody else may have left in a cache."""

from __future__ import annotations

import gc
import os
import shutil
import stat
import subprocess
from contextlib import ExitStack
from textwrap import dedent

import pytest

from datacachalog import CachePermissionError, Catalog, Dataset, Outcome, UnsafeCacheError
from datacachalog.adapters.cache.access import FOLDERS
from datacachalog.adapters.cache.directory import DirectoryCache
from datacachalog.adapters.cache.entries import EntryFolders
from datacachalog.adapters.digest import blake3_in
from datacachalog.testing.payloads import payload
from datacachalog.testing.sources import SOURCE, publish
from tests.unit.adapters.other_processes import as_user, open_folder, program_of

__all__ = ["open_folder"]

ANNE, BERT, EVE, TEAM, OTHERS = 61001, 61002, 61003, 61010, 61011
GOOD, BAD = payload(1, 1000), payload(2, 1000)

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def source(open_folder):
    path = open_folder / "customers.csv"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def root(open_folder):
    return open_folder / "cache"


def catalog_of(source, root, **settings):
    return Catalog([Dataset("customers", source)], cache_dir=root, **settings)


@pytest.fixture
def filled(source, root):
    """A cache that holds the dataset, and that nobody has in use."""
    catalog_of(source, root).fetch("customers")
    gc.collect()  # a catalog's pins go with it
    return root


def tree(folder):
    """All that could be changed in a folder."""
    return [(path, *_state(path)) for path in [folder, *sorted(folder.rglob("*"))]]


def _state(path):
    status, is_file = path.lstat(), path.is_file() and not path.is_symlink()
    content = path.read_bytes() if is_file else None
    return status.st_ino, status.st_mode, status.st_uid, status.st_mtime_ns, content


def given(folder, user, group):
    """A folder, and all in it, as if a user had made it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, group, follow_symlinks=False)


def raise_error(answer):
    """What could not be done for a dataset is told beside what was done for others."""
    if answer.error is not None:
        raise answer.error


EVERYTHING = {
    "fetch": lambda catalog: catalog.fetch("customers"),
    "push": lambda catalog: catalog.push("customers", __file__, expect="any"),
    "status": lambda catalog: raise_error(*catalog.status()),
    "why": lambda catalog: raise_error(catalog.why("customers")),
    "verify": lambda catalog: raise_error(*catalog.verify()),
    "repair": lambda catalog: raise_error(*catalog.verify(repair=True)),
    "gc": lambda catalog: catalog.gc(),
    "invalidate": lambda catalog: catalog.invalidate("customers"),
    "pin": lambda catalog: ExitStack().enter_context(catalog.pinned("customers")),
    "entries": lambda catalog: list(catalog.cache.entries()),
    "clear": lambda catalog: catalog.cache.clear(),
    "size": lambda catalog: catalog.cache.size_bytes(),
    "unfinished": lambda catalog: catalog.cache.unfinished(),
}


@only_root
@pytest.mark.parametrize("act", EVERYTHING.values(), ids=EVERYTHING)
def test_f12_a_cache_of_another_user_is_refused_before_it_is_used(source, filled, act):
    root = filled
    given(root, ANNE, OTHERS)
    before = tree(root)

    with pytest.raises(UnsafeCacheError) as refused:
        act(catalog_of(source, root))

    assert f"it belongs to user {ANNE}, and we are user 0" in str(refused.value)
    assert "DATACACHALOG_SHARED=1" in str(refused.value.hint)
    assert before == tree(root)


@only_root
def test_f12_a_cache_that_another_user_puts_in_the_place_of_ours_is_refused(source, root):
    """As in /tmp, where what was not used for a while is removed."""
    catalog = Catalog([Dataset("customers", source, freshness="1h")], cache_dir=root)
    status = catalog.fetch("customers").stat()
    shutil.copytree(root, root.with_name("theirs"))
    (path,) = root.with_name("theirs").glob("v1/objects/*/*/customers.csv")
    path.chmod(0o644)
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    shutil.rmtree(root)
    root.with_name("theirs").rename(root)
    given(root, ANNE, OTHERS)

    with pytest.raises(UnsafeCacheError, match=f"belongs to user {ANNE}"):
        catalog.fetch("customers")


@only_root
@pytest.mark.parametrize(
    ("owner", "told"),
    [(ANNE, "UnsafeCacheError"), (BERT, "unchanged"), (0, "unchanged")],
    ids=["another's", "one's own", "root's"],
)
def test_f12_whose_a_cache_may_be(source, filled, owner, told):
    """Root's too, as what is in an image: root could change anything anyway."""
    root = filled
    given(root, owner, OTHERS)
    before = tree(root)
    program = """
        catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
        print(attempt(lambda: catalog.obtain("customers").outcome.value))
        """

    found = as_user(BERT, program, source, root)

    assert [told] == found
    assert owner == BERT or before == tree(root)


@only_root
def test_f12_a_cache_that_is_said_to_be_shared_may_be_anybodys(source, root):
    catalog_of(source, root).fetch("customers")
    given(root, ANNE, OTHERS)

    result = catalog_of(source, root, cache_shared=True).obtain("customers")

    assert Outcome.UNCHANGED is result.outcome


@only_root
def test_f12_a_layer_may_be_anybodys(source, filled, tmp_path):
    """Who names it trusts its owner."""
    root = filled
    given(root, ANNE, OTHERS)
    before = tree(root)

    result = catalog_of(source, tmp_path / "own", cache_layers=[root]).obtain("customers")

    assert Outcome.UNCHANGED is result.outcome
    assert before == tree(root)


INSIDE = ["", "v1", *(f"v1/{name}" for name in FOLDERS)]


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o773])
@pytest.mark.parametrize("name", INSIDE)
def test_t04_a_folder_that_everybody_may_write_to_is_refused(source, filled, name, mode):
    root = filled
    (root / name).chmod(mode)
    before = tree(root)

    for act in EVERYTHING.values():
        with pytest.raises(UnsafeCacheError, match=f"everybody may write .*{mode:04o}"):
            act(catalog_of(source, root))

    assert before == tree(root)
    assert catalog_of(source, root, cache_shared=True).fetch("customers").read_bytes() == GOOD


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o770, 0o775, 0o2775])
def test_t04_a_folder_that_the_owner_gave_to_a_group_is_not_refused(source, root, mode):
    """Many systems have a group for each user, and a umask that lets it write."""
    root.mkdir()
    root.chmod(mode)

    assert GOOD == catalog_of(source, root).fetch("customers").read_bytes()
    assert GOOD == catalog_of(source, root).fetch("customers").read_bytes()


def test_t04_a_cache_below_a_folder_like_tmp_is_not_refused(source, open_folder):
    (open_folder / "tmp").mkdir()
    (open_folder / "tmp").chmod(0o1777)

    assert catalog_of(source, open_folder / "tmp" / "cache").fetch("customers").exists()


def test_t04_one_that_was_made_since_there_was_none_is_looked_at(source, root):
    catalog = catalog_of(source, root)
    assert [] == list(catalog.cache.entries())
    raise_error(*catalog.status())
    root.mkdir()
    root.chmod(0o777)

    with pytest.raises(UnsafeCacheError):
        raise_error(*catalog.status())
    with pytest.raises(UnsafeCacheError):
        catalog.fetch("customers")
    assert [] == list(root.iterdir())


def test_t04_a_root_that_is_a_link_is_judged_by_where_it_leads(source, root, open_folder):
    (open_folder / "big-disk").mkdir()
    root.symlink_to("big-disk")
    catalog_of(source, root).fetch("customers")

    (open_folder / "big-disk").chmod(0o777)

    with pytest.raises(UnsafeCacheError):
        catalog_of(source, root).fetch("customers")


def test_t04_a_layer_that_everybody_may_write_to_is_refused(source, root, tmp_path):
    catalog_of(source, root).fetch("customers")
    root.chmod(0o777)
    below = {"cache_dir": tmp_path / "own", "cache_layers": [root]}

    with pytest.raises(UnsafeCacheError) as refused:
        Catalog([Dataset("customers", source)], **below).fetch("customers")

    assert str(root) == refused.value.path
    shared = Catalog([Dataset("customers", source)], **below, cache_shared=True)
    assert GOOD == shared.fetch("customers").read_bytes()


@pytest.mark.parametrize("shared", [False, True])
def test_t04_nothing_is_made_that_everybody_may_write_to(source, open_folder, shared):
    root, before = open_folder / "new" / "cache", os.umask(0)
    try:
        catalog = catalog_of(source, root, cache_shared=shared)
        with catalog.pinned("customers"):
            source.write_bytes(BAD)
            catalog.fetch("customers")
            catalog.gc()
            made = [root.parent, root, *root.rglob("*")]
    finally:
        os.umask(before)

    assert {f"v1/{name}" for name in FOLDERS} <= {str(path.relative_to(root)) for path in made[1:]}
    assert [] == [path for path in made if path.lstat().st_mode & stat.S_IWOTH]


def test_t04_the_environment_says_that_a_cache_is_shared(source, root, use_environment):
    root.mkdir()
    root.chmod(0o777)
    use_environment({"DATACACHALOG_SHARED": "1"})

    assert catalog_of(source, root).fetch("customers").exists()


def test_t04_a_catalog_file_says_that_a_cache_is_shared(source, root, open_folder):
    (open_folder / "catalog.yaml").write_text(
        "version: 1\ncache: {dir: cache, shared: true}\n"
        "datasets: {customers: {source: customers.csv}}\n"
    )
    root.mkdir()
    root.chmod(0o777)

    assert Catalog.open(open_folder).fetch("customers").exists()
    assert stat.S_ISGID | 0o070 == (root / "v1").stat().st_mode & (stat.S_ISGID | 0o070)


def _a_link(path, outside, is_folder):
    """Puts a link in the place of something, to the same outside."""
    if os.path.lexists(path):
        path.rename(outside / path.name)
    elif is_folder:
        (outside / path.name).mkdir()
    else:
        (outside / path.name).write_bytes(b"")
    path.symlink_to(outside / path.name)


def _places(root):
    """Everything in a cache that has one copy."""
    [entry] = (root / "v1" / "objects").glob("*/*")
    [ref] = (root / "v1" / "refs").iterdir()
    [lock] = (root / "v1" / "locks").iterdir()
    pins = root / "v1" / "pins"
    return {
        "an entry": entry,
        "a source": entry.parent,
        "a file": entry / "customers.csv",
        "a record": entry / ".entry.json",
        "a ref": ref,
        "a lock": lock,
        "a gate": pins / ".gate",
        "a pin": pins / "elsewhere.1.a.5.abc",
        "a partial": root / "v1" / "partial" / f"{entry.parent.name}@0123456789ab",
        "trash": root / "v1" / "trash" / "0123456789ab",
        "a tag": root / "CACHEDIR.TAG",
    }


PLACES = {
    **dict.fromkeys(["an entry", "a source", "a partial", "trash"], True),
    **dict.fromkeys(["a file", "a record", "a ref", "a lock", "a gate", "a pin", "a tag"], False),
}


@pytest.fixture
def outside(open_folder):
    """A folder that a link leads to, and no cache is in."""
    folder = open_folder / "outside"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize(("place", "is_folder"), PLACES.items(), ids=PLACES)
def test_t03_a_link_in_a_cache_is_not_followed(
    source, root, outside, place, is_folder, is_warm, shared
):
    """What it leads to is all that it should be, but for its place."""
    first = catalog_of(source, root, cache_shared=shared)
    first.fetch("customers")
    _a_link(_places(root)[place], outside, is_folder)
    _age(root)
    before = tree(outside)
    catalog = first if is_warm else catalog_of(source, root, cache_shared=shared)

    for act in (
        lambda: catalog.verify(repair=True),
        catalog.gc,
        catalog.status,
        lambda: catalog.fetch("customers"),
        lambda: catalog.fetch("customers", refresh=True),
        lambda: list(catalog.cache.usages()),
        catalog.cache.size_bytes,
    ):
        act()
        assert before == tree(outside)

    path = catalog.fetch("customers")
    assert (path.resolve(), GOOD) == (path.absolute(), path.read_bytes())
    assert path.is_relative_to(root)
    source.write_bytes(BAD)
    assert BAD == catalog.fetch("customers").read_bytes()
    catalog.cache.clear()
    assert before == tree(outside)


@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize(("place", "is_folder"), PLACES.items(), ids=PLACES)
def test_t03_what_is_fetched_next_is_not_read_or_written_through_a_link(
    source, root, outside, place, is_folder, is_warm
):
    """Before anything else could have found it."""
    first = catalog_of(source, root)
    first.fetch("customers")
    _a_link(_places(root)[place], outside, is_folder)
    before = tree(outside)
    catalog = first if is_warm else catalog_of(source, root)

    path = catalog.fetch("customers")

    assert (path.resolve(), GOOD) == (path, path.read_bytes())
    source.write_bytes(BAD)
    path = catalog.fetch("customers")
    assert (path.resolve(), BAD) == (path, path.read_bytes())
    assert before == tree(outside)


@pytest.mark.parametrize("place", ["a ref", "a lock", "a gate", "a tag"])
def test_t03_a_link_that_leads_nowhere_makes_no_file(source, root, outside, place):
    catalog_of(source, root).fetch("customers")
    path = _places(root)[place]
    path.unlink()
    path.symlink_to(outside / "made")
    source.write_bytes(BAD)

    assert BAD == catalog_of(source, root).fetch("customers").read_bytes()

    assert [] == list(outside.iterdir())


def _age(root):
    """So that garbage may go."""
    for path in root.rglob("*"):
        if path.is_symlink():
            os.utime(path, (0, 0), follow_symlinks=False)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", INSIDE[1:])
def test_t03_a_link_in_the_place_of_a_folder_of_the_cache_is_refused(
    source, root, outside, name, shared
):
    catalog_of(source, root, cache_shared=shared).fetch("customers")
    gc.collect()
    _a_link(root / name, outside, is_folder=True)
    before = tree(outside)

    for act in EVERYTHING.values():
        with pytest.raises(CachePermissionError, match=f"'{name}' in it is a link"):
            act(catalog_of(source, root, cache_shared=shared))

    assert before == tree(outside)


def test_t03_a_link_of_the_same_size_and_time_is_no_copy(source, root, outside):
    """The size of a link is the length of what it says."""
    target = outside / ("x" * 100)
    target.write_bytes(BAD)
    source.write_bytes(bytes(len(str(target))))
    path = catalog_of(source, root).fetch("customers")
    status = path.stat()
    path.unlink()
    path.symlink_to(target)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)

    assert source.read_bytes() == catalog_of(source, root).fetch("customers").read_bytes()
    assert not path.is_symlink()


class Swapping(EntryFolders):
    """Has somebody put a link to the same bytes in the place of a file that was looked at."""

    def examine(self, key, revision, checked_at=None):
        entry = super().examine(key, revision, checked_at)
        if entry is not None:
            entry.path.rename(self.trash / "swapped")
            entry.path.symlink_to(self.trash / "swapped")
        return entry


def test_t05_a_file_that_is_swapped_after_it_was_looked_at_is_damaged(root):
    cache = DirectoryCache(root)
    entry = publish(cache, b"first")
    folders = Swapping(cache.objects, cache.trash)

    assert [entry.path] == list(folders.remove_damaged(cache.place(*SOURCE).key, entry.path.name))


def test_t05_what_was_opened_is_what_is_hashed(root, monkeypatch):
    """Somebody puts other bytes in its place, of the same size and time, as hashing begins."""
    cache = DirectoryCache(root)
    entry = publish(cache, b"first")
    entries = "datacachalog.adapters.cache.entries"

    def swap_and_hash(file, progress):
        entry.path.rename(root / "good")
        entry.path.write_bytes(b"other")
        os.utime(entry.path, ns=(entry.mtime_ns, entry.mtime_ns))
        return blake3_in(file, progress)

    monkeypatch.setattr(f"{entries}.blake3_in", swap_and_hash)
    assert () == cache.remove_damaged(*SOURCE)

    monkeypatch.undo()
    assert (entry.path,) == cache.remove_damaged(*SOURCE)


def test_t22_what_comes_is_the_users_own_whatever_the_umask(root):
    before = os.umask(0)
    try:
        cache = DirectoryCache(root)
        with cache.staging(*SOURCE) as staging:
            staging.path.parent.mkdir(exist_ok=True)
            staging.path.write_bytes(b"half")
            mode = cache.partial.stat().st_mode & 0o7777
    finally:
        os.umask(before)

    assert 0o700 == mode


def test_t22_a_folder_of_an_older_release_is_closed(root):
    DirectoryCache(root).prepare()
    (root / "v1" / "partial").chmod(0o755)

    DirectoryCache(root).staging(*SOURCE)

    assert 0o700 == (root / "v1" / "partial").stat().st_mode & 0o7777


@pytest.mark.parametrize("umask", [0o022, 0o002])
def test_t22_what_comes_is_the_users_own_below_a_folder_of_a_group(tmp_path, umask):
    (tmp_path / "project").mkdir()
    (tmp_path / "project").chmod(0o2775)  # what is made in it is the group's, as in a team's folder
    before = os.umask(umask)
    try:
        cache = DirectoryCache(tmp_path / "project" / "cache")
        cache.prepare()
    finally:
        os.umask(before)

    assert 0o700 == cache.partial.stat().st_mode & 0o777


def test_t22_a_folder_that_a_group_may_read_by_accident_is_closed(root):
    DirectoryCache(root).prepare()
    (root / "v1" / "partial").chmod(0o2755)

    DirectoryCache(root).prepare()

    assert 0o700 == (root / "v1" / "partial").stat().st_mode & 0o777


@only_root
@pytest.mark.parametrize(("shared", "told"), [(False, "PermissionError"), (True, "half")])
def test_t22_others_read_what_comes_only_where_it_is_shared(root, shared, told):
    cache = DirectoryCache(root, shared=shared)
    with cache.staging(*SOURCE) as staging:
        staging.path.parent.mkdir(exist_ok=True)
        staging.path.write_bytes(b"half")

        read = "print(attempt(lambda: Path(sys.argv[1]).read_text()))"
        assert [told] == as_user(EVE, read, staging.path)


IN_THE_TEAM = """
os.umask(0o077)
source, root = sys.argv[1:3]
catalog = Catalog([Dataset("customers", source)], cache_dir=root, cache_shared=True)
"""


@pytest.fixture
def team(source, root):
    """Runs programs of Anne's and Bert's, whose umask lets nobody look at anything."""
    root.mkdir()
    os.chown(root, ANNE, TEAM)
    root.chmod(0o2770)
    source.chmod(0o644)

    def run(user, *lines):
        program = IN_THE_TEAM + "\n".join(lines)
        return as_user(user, program, source, root, group=TEAM)

    return run


@only_root
class TestATeam:
    """Two users of one group, whose programs make files that nobody else may read."""

    def test_t04_what_one_fetched_the_other_has(self, team):
        fetch = 'print(catalog.obtain("customers").outcome.value)'

        assert ["downloaded"] == team(ANNE, fetch)
        assert ["unchanged", "unchanged"] == team(BERT, fetch, fetch)
        assert ["unchanged"] == team(ANNE, fetch)

    def test_t04_what_one_confirmed_the_other_need_not_ask_for(self, team, root):
        team(ANNE, 'catalog.fetch("customers")')
        [ref] = (root / "v1" / "refs").iterdir()
        before = ref.stat()

        team(BERT, 'catalog.fetch("customers")')

        after = ref.stat()
        assert (ANNE, BERT) == (before.st_uid, after.st_uid)
        assert before.st_mtime_ns < after.st_mtime_ns
        assert ["True"] == team(ANNE, "print(catalog.status()[0].entry is not None)")

    def test_t04_what_changed_is_refreshed_and_collected_by_the_other(self, team, source, root):
        team(ANNE, 'catalog.fetch("customers")')
        source.write_bytes(BAD)

        told = team(
            BERT,
            'print(catalog.fetch("customers").read_bytes() == Path(source).read_bytes())',
            "print(len(catalog.gc().removed))",
        )

        assert ["True", "1"] == told
        assert 1 == len(list((root / "v1" / "objects").glob("*/*")))
        assert [] == list((root / "v1" / "trash").iterdir())
        assert ["True"] == team(
            ANNE, 'print(catalog.fetch("customers").read_bytes() == Path(source).read_bytes())'
        )

    def test_t04_what_is_damaged_is_repaired_by_the_other(self, team, root):
        team(ANNE, 'catalog.fetch("customers")')
        [path] = (root / "v1" / "objects").glob("*/*/customers.csv")
        status = path.stat()
        path.write_bytes(BAD)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

        told = team(BERT, "print([one.integrity.value for one in catalog.verify(repair=True)])")

        assert ["['repaired']"] == told
        assert GOOD == path.read_bytes()
        assert [] == list((root / "v1" / "trash").iterdir())

    def test_t04_everything_goes_when_one_clears_it(self, team, root):
        team(ANNE, 'catalog.fetch("customers")')

        team(BERT, "catalog.cache.clear()")

        assert [] == [path for path in (root / "v1" / "objects").rglob("*") if path.is_file()]
        assert [] == list((root / "v1" / "trash").iterdir())

    def test_t04_what_a_dead_process_left_goes(self, team, root):
        dead = """
            staging = catalog.cache.staging(*SOURCE).__enter__()
            staging.path.write_bytes(b"half")
            os._exit(0)
            """
        team(ANNE, dedent(dead))
        assert [b"half"] == [path.read_bytes() for path in (root / "v1" / "partial").glob("*/*")]

        team(BERT, "catalog.gc()")

        assert [] == list((root / "v1" / "partial").iterdir())

    def test_t04_what_one_holds_is_not_collected_by_the_other(self, team, source, root):
        hold = IN_THE_TEAM + dedent("""
            with catalog.pinned("customers") as path:
                print("held", flush=True)
                sys.stdin.read()
                print(path.exists())
            """)
        command = [*program_of(ANNE, hold, group=TEAM), source, root]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as anne:
            assert anne.stdout is not None
            assert "held\n" == anne.stdout.readline()
            source.write_bytes(BAD)

            told = team(BERT, 'catalog.fetch("customers")', "print(len(catalog.gc().removed))")

            assert ["0"] == told
            assert "True\n" == anne.communicate(timeout=60)[0]

    def test_t04_who_is_not_in_the_group_gets_nothing(self, team, source, root):
        team(ANNE, 'catalog.fetch("customers")')

        program = IN_THE_TEAM + 'print(attempt(lambda: catalog.fetch("customers")))'

        assert ["CachePermissionError"] == as_user(EVE, program, source, root, group=OTHERS)

    def test_t04_modes_are_those_of_a_team(self, team, root):
        team(ANNE, 'catalog.fetch("customers")')

        made = list((root / "v1").rglob("*"))
        folders = {path.stat().st_mode & 0o7777 for path in made if path.is_dir()}
        assert {0o2770} == folders
        [file] = (root / "v1" / "objects").glob("*/*/customers.csv")
        assert 0o440 == file.stat().st_mode & 0o7777
        assert {TEAM} == {path.stat().st_gid for path in made}
        others = {path for path in made if path.is_file()} - {file}
        assert {0o660} == {path.stat().st_mode & 0o7777 for path in others}
        assert {".gate", ".entry.json"} <= {path.name for path in others}

    def test_t04_what_one_locked_keeps_the_other_off(self, team, source, root):
        lock = IN_THE_TEAM + dedent("""
            with catalog.cache.alone(*SOURCE, SECOND) as alone:
                print(alone, flush=True)
                sys.stdin.read()
            """)
        command = [*program_of(ANNE, lock, group=TEAM), source, root]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as anne:
            assert anne.stdout is not None
            assert "True\n" == anne.stdout.readline()
            attempt = "print(catalog.cache.alone(*SOURCE, SECOND / 10).__enter__())"
            assert ["False"] == team(BERT, attempt)
            anne.communicate(timeout=60)
        assert ["True"] == team(BERT, attempt)

    def test_t04_a_download_that_was_interrupted_waits_for_its_user(self, team, root):
        interrupted = """
            staging = catalog.cache.staging(*SOURCE).__enter__()
            staging.path.write_bytes(b"half")
            Path(f"{staging.path}.journal").write_text("")
            os._exit(0)
            """
        resume = "print(catalog.cache.staging(*SOURCE).__enter__().resume)"
        team(ANNE, dedent(interrupted))

        assert ["False", "0"] == team(BERT, resume, "print(catalog.gc().freed_bytes)")
        assert ["True"] == team(ANNE, resume)

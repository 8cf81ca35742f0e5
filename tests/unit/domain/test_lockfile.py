"""The text of catalog.lock: what is written is read again, and what is none is told by its line."""

from __future__ import annotations

import time
import tomllib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.errors import LockfileError
from datacachalog.domain.lockfile import (
    LockPlan,
    Pin,
    moment,
    parsed,
    plan_lock,
    written,
    written_source,
)
from datacachalog.domain.objects import ObjectInfo
from datacachalog.domain.uri import Uri

DIGEST = "0123456789abcdef" * 4
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
S3 = Uri("s3", "lake", "orders.csv")
ORDERS = Pin("s3://lake/orders.csv", 5, DIGEST, "v1", '"abc"', NOON)
LOCAL = Pin("data/a.csv", 0, DIGEST)
HEAD = "version = 1\n"
TABLE = f'[datasets.orders]\nsource = "a.csv"\nsize_bytes = 1\nblake3 = "{DIGEST}"\n'

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True)
words = st.text(min_size=1)
pins = st.builds(
    Pin,
    source=words,
    size_bytes=st.integers(0, 1 << 60),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    version=st.none() | words,
    etag=st.none() | words,
    last_modified=st.none()
    | st.datetimes(timezones=st.just(UTC), allow_imaginary=False).map(
        lambda when: when.replace(microsecond=0)
    ),
)


@given(st.dictionaries(names, pins, max_size=5))
def test_what_is_written_is_read_again(some):
    text = written(some)

    assert some == parsed(text, "catalog.lock")
    assert some == parsed(text.replace("\n", "\r\n"), "catalog.lock")
    assert text == written(dict(reversed(some.items())))


@given(words)
def test_nothing_hides_in_a_lockfile(word):
    lines = written({"a": Pin(word, 1, DIGEST)}).splitlines()

    assert all(line.isprintable() for line in lines)
    assert 7 == len(lines)


@given(st.text())
def test_any_other_text_is_refused_or_read_in_words(text):
    try:
        parsed(text, "catalog.lock")
    except LockfileError as error:
        assert str(error).startswith("catalog.lock:")  # noqa: PT017 - or nothing is raised


def test_a_lockfile_has_a_table_a_dataset_sorted_and_a_line_a_key():
    text = written({"sales.2024": LOCAL, "orders": ORDERS})

    assert text.splitlines()[1:] == [
        "version = 1",
        "",
        "[datasets.orders]",
        'source = "s3://lake/orders.csv"',
        "size_bytes = 5",
        f'blake3 = "{DIGEST}"',
        'version = "v1"',
        'etag = "\\"abc\\""',
        "last_modified = 2026-01-01T12:00:00Z",
        "",
        '[datasets."sales.2024"]',
        'source = "data/a.csv"',
        "size_bytes = 0",
        f'blake3 = "{DIGEST}"',
    ]
    assert ORDERS.etag == tomllib.loads(text)["datasets"]["orders"]["etag"]


def test_what_one_branch_adds_leaves_the_lines_of_the_others():
    before = written({"a": LOCAL, "c": LOCAL})

    after = written({"a": LOCAL, "b": ORDERS, "c": LOCAL})

    new = [line for line in after.splitlines() if line not in before.splitlines()]
    assert len(after.splitlines()) - len(before.splitlines()) == 8
    assert "[datasets.b]" == new[0]


class TestPin:
    def test_what_a_store_said_is_kept(self):
        info = ObjectInfo(S3, 5, '"abc"', "v1", NOON.replace(microsecond=7))

        assert ORDERS == Pin.of("s3://lake/orders.csv", info, DIGEST)

    def test_what_promises_nothing_is_not(self):
        info = ObjectInfo(S3, 5, 'W/"abc"', "null")

        assert Pin("a", 5, DIGEST) == Pin.of("a", info, DIGEST)

    def test_what_nothing_is_told_of_is_not_there(self):
        assert Pin("a", 5, DIGEST) == Pin.of("a", ObjectInfo(S3, 5), DIGEST)

    def test_of_a_file_only_the_bytes_are_kept_for_its_tags_are_of_this_machine(self):
        info = ObjectInfo(Uri.of_path("/data/a.csv"), 0, '"1-2-3"', last_modified=NOON)

        assert LOCAL == Pin.of("data/a.csv", info, DIGEST)

    def test_lone_surrogates_are_spelled_out(self):
        pin = Pin.of("a", ObjectInfo(S3, 5, '"\udcff"', "\ud800"), DIGEST)

        assert {"a": pin} == parsed(written({"a": pin}), "catalog.lock")
        assert "/data/\\udcff" == written_source(Uri.of_path("/data/\udcff"))

    def test_a_source_has_no_secrets(self):
        uri = Uri.parse("https://host/a.csv?signature=abc")

        assert "https://host/a.csv?***" == written_source(uri)

    def test_changes_are_told_in_words(self):
        other = Pin("b", 6, "f" * 64, None, '"def"', NOON + timedelta(hours=1))

        assert ORDERS.changes(other) == (
            "source s3://lake/orders.csv → b",
            "size 5 → 6",
            "version v1 → none",
            'etag "abc" → "def"',
            "blake3 0123456789ab → ffffffffffff",
            "modified 2026-01-01T12:00:00Z → 2026-01-01T13:00:00Z",
        )

    def test_nothing_is_told_of_what_is_the_same(self):
        assert () == ORDERS.changes(ORDERS)

    def test_long_words_are_cut(self):
        (change,) = ORDERS.changes(Pin("x" * 9999, *ORDERS_REST))

        assert len(change) < 300


ORDERS_REST = (5, DIGEST, "v1", '"abc"', NOON)


BEFORE = {"a": Pin("a.csv", 1, DIGEST), "old": Pin("old.csv", 1, DIGEST)}


class TestPlan:
    def plan(self, names=None, upgrade=()):
        return plan_lock(BEFORE, {"a": "a.csv", "b": "b.csv"}, names, upgrade)

    def test_what_is_not_locked_is_and_what_is_gone_is_dropped(self):
        plan = self.plan()

        assert LockPlan(("a", "b", "old"), frozenset("b"), frozenset(["old"])) == plan
        assert {"a": BEFORE["a"]} == plan.kept(BEFORE)

    def test_others_than_the_named_stay_as_they_are(self):
        plan = self.plan(["b"])

        assert LockPlan(("b",), frozenset("b"), frozenset()) == plan
        assert BEFORE == plan.kept(BEFORE)

    def test_what_is_upgraded_is_taken_too(self):
        assert {"a", "b"} == self.plan(upgrade=["a"]).take
        assert ("a", "b") == self.plan(["b"], ["a"]).names

    def test_another_source_is_taken_anew(self):
        pins = {"a": Pin("elsewhere.csv", 1, DIGEST)}

        assert {"a"} == plan_lock(pins, {"a": "a.csv"}, None, ()).take


class TestWrongText:
    @pytest.mark.parametrize(
        ("text", "line", "problem"),
        [
            ("version = 2\n", 1, "its version is 2, and only 1 is known"),
            ("\n\nversion = true\n", 3, "its version is True"),
            ("# nothing\n", 1, "it has no 'version = 1'"),
            ("", 1, "it has no 'version = 1'"),
            (f"{HEAD}x = [\n", 2, "neither a table .* nor a key"),
            (f"{HEAD}x = 1 2\n", 2, "not TOML"),
            (f"{HEAD}x = {'9' * 5000}\n", 2, "neither"),
            (f"{HEAD}x.y = 1\n", 2, "neither"),
            (f"{HEAD}[[datasets.orders]]\n", 2, "neither"),
            (f"{HEAD}[datasets]\n", 2, "neither"),
            (f'{HEAD}x = "a\n', 2, "neither"),
            (f"{HEAD}\n{TABLE}{TABLE}", 7, "not TOML"),
            (f"{HEAD}x = 'a\0b'\n", 2, "not TOML"),
            (f"{HEAD}x = '", 2, "neither"),
            ("version =  ", 1, "neither"),
            (f"{HEAD}[datasets.a]\n[datasets.a]", 3, "not TOML: .* twice"),
            (f"{HEAD}etga = 1\n", 2, "the key 'etga' is not known"),
            (f"{HEAD}datasets = 1\n", 2, "'datasets' is no table"),
            (f"{HEAD}\n{TABLE.replace('orders', '_o')}", 3, "dataset name '_o' must be letters"),
            (f"{HEAD}\n{TABLE}etga = 1\n", 3, "the key 'etga' of 'orders' is not known"),
            (f"{HEAD}\n{TABLE.replace('source', '#')}", 3, "source of 'orders' must be text"),
            (f"{HEAD}\n{TABLE.replace('a.csv', '')}", 3, "source of 'orders' must be text"),
            (f"{HEAD}\n{TABLE.replace('= 1', '= -1')}", 3, "must be a number of bytes"),
            (f"{HEAD}\n{TABLE.replace('= 1', '= true')}", 3, "must be a number of bytes"),
            (f"{HEAD}\n{TABLE.replace('= 1', '= 1.5')}", 3, "must be a number of bytes"),
            (f"{HEAD}\n{TABLE.replace(DIGEST, 'abc')}", 3, "must have 64 hexadecimal digits"),
            (f"{HEAD}\n{TABLE}etag = 1\n", 3, "etag of 'orders' must be text"),
            (f"{HEAD}\n{TABLE}version = ''\n", 3, "version of 'orders' must be text"),
            (f"{HEAD}\n{TABLE}last_modified = 'now'\n", 3, "must be a time with a zone"),
            (f"{HEAD}\n{TABLE}last_modified = 2026-01-01T12:00:00\n", 3, "time with a zone"),
            (f"{HEAD}\n{TABLE}last_modified = 0001-01-01T00:00:00+14:00\n", 3, "out of range"),
            (f"{HEAD}<<<<<<< HEAD\n{TABLE}=======\n", 2, "a merge conflict is not solved"),
        ],
    )
    def test_it_is_refused_with_its_line(self, text, line, problem):
        with pytest.raises(LockfileError, match=problem) as caught:
            parsed(text, "catalog.lock")

        assert str(caught.value).startswith(f"catalog.lock:{line}: ")
        assert len(str(caught.value)) < 500

    def test_a_dotted_name_has_a_line_too(self):
        table = TABLE.replace("orders", '"a.b"').replace("= 1", "= -1")

        with pytest.raises(LockfileError) as caught:
            parsed(f"{HEAD}\n\n{table}", "catalog.lock")

        assert 4 == caught.value.line

    def test_a_conflict_is_solved_by_keeping_both_sides(self):
        with pytest.raises(LockfileError) as caught:
            parsed(">>>>>>> theirs", "catalog.lock")

        assert "both sides" in (caught.value.hint or "")

    @pytest.mark.parametrize(
        "text",
        [
            f"{HEAD}{'a.' * 30_000}a = 1\n" * 16,
            f"{HEAD}[{'a.' * 30_000}a]\n" * 16,
            "x = " + "[" * 60_000,
            "x = " + "{a=" * 20_000,
            f"{HEAD}x = " + '"\\' * 1_000_000,
            f"{HEAD}[datasets.{' ' * 1_000_000}",
            f"{HEAD}x = 1{' ' * 1_000_000}]",
            f"{HEAD}{' ' * 1_000_000}]",
            HEAD + "".join(f"a{n} = 1\n" for n in range(50_000)),
        ],
    )
    def test_a_hostile_one_is_refused_within_two_seconds(self, text):
        begun = time.process_time()  # others may be at this machine too

        with pytest.raises(LockfileError):
            parsed(text, "catalog.lock")

        assert time.process_time() - begun < 2

    def test_capital_digits_and_other_zones_mean_the_same(self):
        east = timezone(timedelta(hours=2))
        text = f"{HEAD}\n{TABLE}last_modified = 2026-01-01T14:00:00+02:00\n".replace("abc", "ABC")

        found = parsed(text, "catalog.lock")["orders"]

        assert Pin("a.csv", 1, DIGEST, last_modified=NOON) == found
        assert moment(NOON) == moment(NOON.astimezone(east))

    def test_an_empty_lockfile_locks_nothing(self):
        assert {} == parsed(written({}), "catalog.lock")

"""Which entries go: told by examples, and by what holds whatever there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.housekeeping import (
    GRACE,
    Bounds,
    Usage,
    Wish,
    removals,
    to_make_room,
)
from datacachalog.domain.objects import CacheEntry, ObjectInfo
from datacachalog.domain.sizes import MinFree
from datacachalog.domain.uri import Uri

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def usage(name, *, size=10, days=0.0, current=True, pinned=False, ours=False):
    uri = Uri("s3", "lake", name)
    entry = CacheEntry(
        identity=str(uri),
        revision_id=name,
        path=Path(f"/cache/{name}"),
        info=ObjectInfo(uri, size, etag='"1"'),
        digest="d",
        mtime_ns=1,
        checked_at=NOW,
    )
    return Usage(entry, NOW - days * DAY, is_current=current, is_pinned=pinned, is_ours=ours)


def names(found):
    return [one.entry.revision_id for one in found]


def test_nothing_is_wished_and_nothing_goes():
    assert () == removals([usage("a", days=99, current=False)], Wish(), NOW)


def test_what_is_superseded_goes():
    there = [usage("a", current=False), usage("b", days=99), usage("c", days=1, current=False)]

    assert ["c", "a"] == names(removals(there, Wish(superseded=True), NOW))


def test_what_is_unused_for_long_goes_whether_superseded_or_not():
    there = [usage("a", days=31), usage("b", days=30, current=False), usage("c", current=False)]

    assert ["a", "b"] == names(removals(there, Wish(superseded=True, unused_for=30 * DAY), NOW))


def test_what_is_over_a_bound_goes_the_least_recently_used_first():
    there = [usage("a", days=1), usage("b", days=3), usage("c", days=2), usage("d", days=0.5)]

    assert ["b", "c"] == names(removals(there, Wish(max_bytes=25), NOW))
    assert ["b"] == names(removals(there, Wish(enough_bytes=1), NOW))
    assert [] == names(removals(there, Wish(max_bytes=40, enough_bytes=-1), NOW))


def test_what_goes_anyway_counts_for_the_bound():
    there = [usage("a", days=3), usage("b", days=1, current=False)]

    assert ["b"] == names(removals(there, Wish(superseded=True, max_bytes=10), NOW))


def test_a_current_entry_has_its_grace():
    just_used, used_before = usage("a", days=1 / 25), usage("b", days=1 / 24)

    assert ["b"] == names(removals([just_used, used_before], Wish(max_bytes=0), NOW))
    assert timedelta(hours=1) == GRACE


def test_a_superseded_one_has_none():
    assert ["a"] == names(removals([usage("a", current=False)], Wish(max_bytes=0), NOW))


def test_what_this_process_handed_out_stays_unless_it_says_so():
    there = [usage("a", days=9, ours=True)]

    assert [] == names(removals(there, Wish(max_bytes=0), NOW))
    assert ["a"] == names(removals(there, Wish(max_bytes=0, even_ours=True), NOW))


def test_a_wrong_clock_keeps_nothing_for_ever():
    in_two_days, in_a_second = usage("a", days=-2), usage("b", days=-1 / 86400)

    assert ["a"] == names(removals([in_a_second, in_two_days], Wish(max_bytes=10), NOW))
    assert ["a"] == names(removals([in_a_second, in_two_days], Wish(unused_for=DAY), NOW))


def test_a_bound_on_the_cache_holds_at_the_price_of_what_was_just_used():
    there = [usage("a", days=0.001), usage("b", ours=True, days=0.0005), usage("new")]

    assert ["a", "b"] == names(to_make_room(there, Bounds(10), 0, {"new"}, NOW))


def test_for_the_disk_nothing_goes_that_was_just_used():
    there = [usage("a", days=0.001), usage("b", days=2), usage("new", days=9)]

    assert ["b"] == names(to_make_room(there, Bounds(None, MinFree(1)), 99, {"new"}, NOW))


def test_what_the_bound_frees_counts_for_the_disk():
    there = [usage("a", days=3), usage("b", days=2)]

    assert ["a"] == names(to_make_room(there, Bounds(10), 10, set(), NOW))
    assert ["a", "b"] == names(to_make_room(there, Bounds(10), 11, set(), NOW))


usages = st.lists(
    st.builds(
        usage,
        st.uuids().map(str),
        size=st.integers(0, 100),
        days=st.floats(-3, 60),
        current=st.booleans(),
        pinned=st.booleans(),
        ours=st.booleans(),
    ),
    max_size=12,
)
wishes = st.builds(
    Wish,
    superseded=st.booleans(),
    unused_for=st.none() | st.timedeltas(timedelta(0), 40 * DAY),
    max_bytes=st.none() | st.integers(0, 600),
    enough_bytes=st.integers(-100, 600),
    grace=st.sampled_from([timedelta(0), GRACE]),
    even_ours=st.booleans(),
)


@given(usages, wishes)
def test_what_is_pinned_or_in_its_grace_never_goes(there, wish):
    for one in removals(there, wish, NOW):
        assert not one.is_pinned
        assert wish.even_ours or not one.is_ours
        assert not one.is_current or not timedelta(0) <= NOW - one.used_at < wish.grace


@given(usages, wishes)
def test_a_bound_holds_or_nothing_more_can_go(there, wish):
    gone = removals(there, wish, NOW)
    left = [one for one in there if one not in gone]
    size_bytes = sum(one.entry.info.size_bytes for one in left)

    if wish.max_bytes is not None and size_bytes > wish.max_bytes:
        assert () == removals(left, replace(wish, enough_bytes=0), NOW)


@given(usages, st.integers(0, 600))
def test_nothing_goes_that_was_used_later_than_what_could_have_gone(there, most):
    wish = Wish(max_bytes=most, grace=timedelta(0))
    gone = removals(there, wish, NOW)
    loose = [one for one in there if one not in gone and not one.is_pinned and not one.is_ours]

    past = [min(NOW - one.used_at, timedelta.max) for one in gone if one.used_at <= NOW]
    for kept in loose:
        if kept.used_at <= NOW:
            assert all(age >= NOW - kept.used_at for age in past)


@pytest.mark.parametrize("keep", [set(), {"a"}])
def test_what_is_to_be_kept_is_kept(keep):
    found = to_make_room([usage("a", days=9), usage("b", days=8)], Bounds(0), 99, keep, NOW)

    assert sorted({"a", "b"} - keep) == sorted(names(found))

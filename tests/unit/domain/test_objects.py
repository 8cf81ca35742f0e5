from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.objects import (
    ABSENT,
    ANY,
    NOT_MODIFIED,
    CacheEntry,
    ObjectInfo,
    Revision,
    is_immutable_version,
)
from datacachalog.domain.uri import Uri

etags = st.none() | st.sampled_from(['"1"', '"2"', 'W/"1"'])
revisions = st.builds(
    Revision, etags, st.none() | st.sampled_from(["null", "v1", "v2"]), st.integers(0, 2)
)


@pytest.mark.parametrize(("etag", "strong"), [('"1"', True), ('W/"1"', False), (None, False)])
def test_only_a_tag_without_w_is_strong(etag, strong):
    assert strong == Revision(etag, None, 1).is_strong


@pytest.mark.parametrize(("version", "immutable"), [("v1", True), ("null", False), (None, False)])
def test_a_version_is_immutable_unless_it_was_written_without_versioning(version, immutable):
    assert immutable == is_immutable_version(version)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Revision('"1"', None, 1), Revision('"1"', None, 1)),
        (Revision('"1"', "v1", 1), Revision('"1"', "v2", 1)),
        (Revision('"1"', "v1", 1), Revision('"1"', None, 1)),
        (Revision(None, "v1", 1), Revision('"1"', "v1", 1)),
        (Revision('W/"1"', "v1", 1), Revision('W/"2"', "v1", 1)),
    ],
)
def test_a_strong_tag_or_a_version_names_the_same_bytes(one, other):
    assert one.same_bytes(other)
    assert other.same_bytes(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Revision('"1"', None, 1), Revision('"2"', None, 1)),
        (Revision('"1"', None, 1), Revision('"1"', None, 2)),
        (Revision(None, "v1", 1), Revision(None, "v1", 2)),
        (Revision(None, "v1", 1), Revision(None, "v2", 1)),
        (Revision(None, "null", 1), Revision(None, "null", 1)),
        (Revision(None, None, 1), Revision(None, None, 1)),
        (Revision('W/"1"', None, 1), Revision('W/"1"', None, 1)),
        (Revision('W/"1"', None, 1), Revision('"1"', None, 1)),
    ],
)
def test_anything_less_does_not(one, other):
    assert not one.same_bytes(other)
    assert not other.same_bytes(one)


@given(revisions, revisions)
def test_having_the_same_bytes_is_mutual(one, other):
    assert one.same_bytes(other) == other.same_bytes(one)


@given(revisions)
def test_a_revision_has_the_same_bytes_as_itself_where_it_says_anything(revision):
    says_something = revision.is_strong or is_immutable_version(revision.version)

    assert says_something == revision.same_bytes(revision)


def test_an_entry_is_of_the_revision_that_its_store_described():
    info = ObjectInfo(Uri("s3", "lake", "a"), 3, etag='"1"', version="v1", digest="d")
    entry = CacheEntry(
        identity="s3://lake/a",
        revision_id="0123456789abcdef",
        path=Path("/cache/a"),
        info=info,
        digest="d",
        mtime_ns=1,
        checked_at=datetime(2026, 1, 1, tzinfo=UTC),
    )

    assert Revision('"1"', "v1", 3) == info.revision == entry.revision


@pytest.mark.parametrize("constant", [ANY, ABSENT, NOT_MODIFIED])
def test_a_constant_is_still_itself_after_pickling(constant):
    assert constant is pickle.loads(pickle.dumps(constant))  # noqa: S301 - our own bytes

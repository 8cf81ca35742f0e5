from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.errors import VersionNotFoundError
from datacachalog.domain.objects import ObjectInfo
from datacachalog.domain.uri import Uri
from datacachalog.domain.versions import version_at

URI = Uri("s3", "lake", "a")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def version(name, at, *, deleted=False):
    return ObjectInfo(URI, 0 if deleted else 1, version=name, last_modified=at, deleted=deleted)


HISTORY = [
    version("v3", NOON + 3 * HOUR),
    version("gone", NOON + 2 * HOUR, deleted=True),
    version("v1", NOON),
]


@pytest.mark.parametrize(
    ("hours", "expected"), [(0, "v1"), (1, "v1"), (1.999, "v1"), (3, "v3"), (1000, "v3")]
)
def test_the_version_of_a_time_is_the_last_one_before_it(hours, expected):
    assert expected == version_at(URI, HISTORY, NOON + hours * HOUR).version


def test_a_version_of_the_same_second_was_there():
    as_of = NOON + timedelta(microseconds=1)

    assert "v1" == version_at(URI, HISTORY, as_of).version


def test_a_time_in_another_zone_is_the_same_time():
    as_of = datetime.fromisoformat("2026-01-01T14:30:00+02:00")

    assert "v1" == version_at(URI, HISTORY, as_of).version


@pytest.mark.parametrize("hours", [2, 2.5])
def test_a_deleted_object_had_no_version(hours):
    with pytest.raises(VersionNotFoundError) as caught:
        version_at(URI, HISTORY, NOON + hours * HOUR)

    assert "it was deleted then" in str(caught.value)


@pytest.mark.parametrize("versions", [HISTORY, []])
def test_an_object_that_was_not_there_yet_had_no_version(versions):
    with pytest.raises(VersionNotFoundError) as caught:
        version_at(URI, versions, NOON - HOUR)

    assert "'s3://lake/a' has no version as of 2026-01-01T11:00:00+00:00: it did not exist yet" == (
        str(caught.value)
    )


def test_a_version_of_unknown_age_is_no_answer():
    with pytest.raises(VersionNotFoundError):
        version_at(URI, [version("v1", None)], NOON)


hours = st.integers(0, 20)


@given(st.dictionaries(hours, st.booleans()), hours)
def test_the_answer_is_that_of_a_naive_search(history, as_of):
    versions = [
        version(f"v{hour}", NOON + hour * HOUR, deleted=deleted)
        for hour, deleted in sorted(history.items(), reverse=True)
    ]
    latest = max((hour for hour in history if hour <= as_of), default=None)

    if latest is None or history[latest]:
        with pytest.raises(VersionNotFoundError):
            version_at(URI, versions, NOON + as_of * HOUR)
    else:
        assert f"v{latest}" == version_at(URI, versions, NOON + as_of * HOUR).version

"""What of a run's data the registry is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st

from datacachalog.domain.lineage import recording
from datacachalog.sdk.lineage import RunLineage, as_told
from datacachalog.server.values import _URI

if TYPE_CHECKING:
    from datacachalog.domain.lineage import Recorder

SECRET = "s3cr3t"


@given(st.text())
@example("https://h/%zz?x=1#y")
@example("http://[::1/x")
@example("file:///a b\\c.csv")
@example("S3://bucket/key")
@example("s3://user@bucket/key")
def test_what_is_told_is_what_the_registry_takes(text):
    told = as_told(text)

    assert told is None or (re.search(_URI, told) and len(told) <= 1024)


@given(st.text(alphabet="abc/%+ ä", min_size=1, max_size=20))
def test_no_secret_of_an_address_is_told(path):
    told = as_told(f"https://me:{SECRET}@example.com/{path}?X-Amz-Signature={SECRET}#{SECRET}")

    assert told is not None
    assert SECRET not in told


@given(st.text(min_size=1, max_size=20))
def test_what_is_a_part_of_a_key_stays_one(key):
    one, other = as_told(f"s3://b/{key}"), as_told(f"s3://b/{key}?")

    assert one != other


def test_it_is_a_recorder_in_the_order_of_what_came():
    lineage: Recorder = RunLineage()
    with recording(lineage):
        lineage.read("b", "snap-1")
        lineage.read("a", "snap-2")
        lineage.read("b", "snap-1")
        lineage.wrote("c", "snap-3")
        lineage.wrote_object("s3://lake/out.csv")

    assert isinstance(lineage, RunLineage)
    assert ["b", "a"] == [one["table_name"] for one in lineage.inputs]
    assert [
        {"table_name": "c", "snapshot_id": "snap-3"},
        {"uri": "s3://lake/out.csv"},
    ] == lineage.outputs
    assert 0 == lineage.left_out

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.keys import local_name, revision_id, source_key
from datacachalog.domain.objects import ObjectInfo
from datacachalog.domain.uri import Uri

URI = Uri("s3", "lake", "a.csv")
INFO = ObjectInfo(URI, 1, etag='"1"', version="v1")

validators = st.none() | st.text(max_size=5) | st.sampled_from(['"1"', '"2"', 'W/"1"', "null"])
described = st.tuples(
    st.text(max_size=5),
    st.builds(ObjectInfo, st.just(URI), st.integers(0, 12), etag=validators, version=validators),
)


def id_of(source, digest):
    identity, info = source
    return revision_id(identity, info, digest)


def field_values(source):
    identity, info = source
    return identity, info.etag, info.version, info.size_bytes


@given(described, described)
def test_what_a_store_tells_apart_has_different_ids(one, other):
    ids = {id_of(one, "digest"), id_of(other, "digest")}
    trusted = [i.revision.is_strong or i.version not in {None, "null"} for _, i in (one, other)]

    if all(trusted):
        assert (field_values(one) == field_values(other)) == (len(ids) == 1)


@given(described, described, st.text(max_size=3), st.text(max_size=3))
def test_no_bytes_of_one_source_pass_for_others(one, other, digest, other_digest):
    if id_of(one, digest) == id_of(other, other_digest):
        same_revision = one[1].revision == other[1].revision
        assert one[0] == other[0]
        assert one[1].size_bytes == other[1].size_bytes
        assert same_revision or digest == other_digest


@pytest.mark.parametrize("field", [{"etag": '"2"'}, {"version": "v2"}, {"size_bytes": 2}])
def test_each_field_of_a_revision_counts(field):
    assert revision_id("id", INFO, "d") != revision_id("id", replace(INFO, **field), "d")


def test_the_identity_counts():
    assert revision_id("id", INFO, "d") != revision_id("other", INFO, "d")


def test_an_id_can_be_predicted_without_the_bytes():
    assert revision_id("id", INFO, "digest") == revision_id("id", INFO, "")


@pytest.mark.parametrize(
    ("etag", "version"), [(None, None), (None, "null"), ('W/"1"', None), ('W/"1"', "null")]
)
def test_what_a_store_cannot_vouch_for_is_known_by_its_bytes(etag, version):
    info = replace(INFO, etag=etag, version=version)

    assert revision_id("id", info, "one") != revision_id("id", info, "other")
    assert revision_id("id", info, "one") == revision_id("id", info, "one")


@given(described)
def test_an_id_is_16_hexadecimal_digits(what):
    assert re.fullmatch(r"[0-9a-f]{16}", id_of(what, "digest"))


def test_ids_stay_as_they_are():
    assert "c4e3f45e898244f6" == revision_id("s3://lake/a.csv", INFO, "")


@given(st.text(), st.text())
def test_a_source_key_is_a_safe_file_name(identity, name):
    key = source_key(identity, Uri("s3", "lake", name))

    assert re.fullmatch(r"[a-z0-9.][a-z0-9.-]*-[0-9a-f]{12}", key)
    assert not key.startswith(".")
    assert len(key) <= 53


@given(st.text(), st.text())
def test_identities_have_different_keys(one, other):
    keys = {source_key(one, URI), source_key(other, URI)}

    assert (one == other) == (len(keys) == 1)


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("customers/Customers 2024.PARQUET", "customers-2024.parquet"),
        ("日本", "object"),
        ("", "object"),
        ("...", "object"),
        ("x" * 100, "x" * 40),
    ],
)
def test_a_source_key_can_be_recognised(path, slug):
    assert slug == source_key("id", Uri("s3", "lake", path)).rpartition("-")[0]


def test_source_keys_stay_as_they_are():
    uri = Uri("s3", "lake", "customers/customers.parquet")

    assert "customers.parquet-85753e1141fb" == source_key(str(uri), uri)


@given(st.text() | st.text(min_size=150, max_size=300))
def test_a_local_name_is_safe_on_any_disk(name):
    local = local_name(Uri("s3", "lake", name))

    assert local not in {"", ".", "..", ".entry.json"}
    assert not local.startswith(".")
    assert len(local.encode()) <= 200
    assert not set('<>:"/\\|?*') & set(local)
    assert all(ord(c) >= 32 and ord(c) != 127 for c in local)


@given(st.text(), st.from_regex(r"\.[a-z0-9]{1,10}", fullmatch=True))
def test_a_local_name_keeps_its_suffix(stem, suffix):
    assert local_name(Uri("s3", "lake", f"a{stem}{suffix}")).endswith(suffix)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("customers.parquet", "customers.parquet"),
        ("a b#c+%41='é.tar.gz", "a b#c+%41='é.tar.gz"),
        ("..b", "_..b"),
        ("", "_"),
        (".", "_."),
        ("..", "_.."),
        (". .", "_. ."),
        (" ", "_ "),
        (".entry.json", "_.entry.json"),
        ("a\\b:c*d?e", "a_b_c_d_e"),
        ("a\x00b\nc\x7fd", "a_b_c_d"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("a\ud800b", "a_b"),
        ("a\u2028b", "a_b"),
        ("CON", "_CON"),
        ("aux.csv", "_aux.csv"),
        ("lpt1.txt", "_lpt1.txt"),
        ("console.csv", "console.csv"),
        ("x" * 300 + ".csv", "x" * 196 + ".csv"),
        ("x" * 300, "x" * 200),
        ("é" * 150, "é" * 100),
        ("é" * 150 + ".csv", "é" * 98 + ".csv"),
        ("a." + "y" * 300, "a." + "y" * 197),
    ],
)
def test_a_local_name_is_the_original_as_far_as_it_can_be(name, expected):
    assert expected == local_name(Uri("s3", "lake", f"folder/{name}"))

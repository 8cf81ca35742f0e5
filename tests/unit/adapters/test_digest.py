from __future__ import annotations

import multiprocessing

import pytest
from blake3 import blake3

from datacachalog.adapters.digest import blake3_of


@pytest.mark.parametrize("size", [0, 1, 16_384, 5_000_001])
def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path, size):
    (tmp_path / "a").write_bytes(b"x" * size)

    assert blake3(b"x" * size).hexdigest() == blake3_of(tmp_path / "a")


def test_a_missing_file_has_no_digest(tmp_path):
    with pytest.raises(FileNotFoundError):
        blake3_of(tmp_path / "a")


def test_a_forked_child_takes_digests_too(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 5_000_001)
    ours = blake3_of(tmp_path / "a")

    with multiprocessing.get_context("fork").Pool(1) as pool:
        theirs = pool.apply_async(blake3_of, (tmp_path / "a",)).get(timeout=60)

    assert ours == theirs

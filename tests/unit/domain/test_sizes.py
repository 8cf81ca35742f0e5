from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacachalog.domain.sizes import MinFree, parse_bytes


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("1048576", 1_048_576),
        ("12B", 12),
        ("20GB", 20 * 10**9),
        (" 20 gb ", 20 * 10**9),
        ("18.6GiB", int(18.6 * 2**30)),
        ("0.5TiB", 2**39),
        ("1.999KB", 1999),
        ("1.0001KB", 1000),
        ("3PiB", 3 * 2**50),
    ],
)
def test_a_size_is_read(text, size_bytes):
    assert size_bytes == parse_bytes(text)


@pytest.mark.parametrize(
    "text", ["", "GB", "1 G B", "-1", "1e9", "5%", "1,5GB", "1XB", "²", "1" * 16, "1G", "1Ki"]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="must be a size such as 500MB or 20GB, not "):
        parse_bytes(text)


@given(st.integers(0, 10**15 - 1))
def test_a_number_is_that_many_bytes(size_bytes):
    assert size_bytes == parse_bytes(str(size_bytes)) == parse_bytes(f"{size_bytes} b")


@pytest.mark.parametrize(
    ("text", "of_1000"),
    [("5%", 50), ("2.5 %", 25), ("0.1%", 1), ("0", 0), ("7B", 7), ("100", 100), ("99%", 990)],
)
def test_what_is_to_stay_free_is_a_share_or_a_size(text, of_1000):
    assert of_1000 == MinFree.parse(text).of_disk(1000)


@pytest.mark.parametrize("text", ["1", " 5 ", "99", "2.5"])
def test_a_small_number_that_lacks_its_percent_sign_is_refused(text):
    with pytest.raises(ValueError, match="must be a share such as 5%, or a size with its unit"):
        MinFree.parse(text)


@pytest.mark.parametrize("text", ["100%", "5.1234%", "%", "-5%", "some", ""])
def test_what_is_neither_is_refused(text):
    with pytest.raises(ValueError, match="must be a share such as 5%, or a size, not "):
        MinFree.parse(text)

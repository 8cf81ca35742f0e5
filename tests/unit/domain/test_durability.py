from __future__ import annotations

import pytest

from datacachalog.domain.durability import Durability


@pytest.mark.parametrize("policy", Durability)
def test_a_policy_is_read_by_its_name(policy):
    assert policy is Durability.parse(str(policy))


@pytest.mark.parametrize("text", ["", "LAZY", "fsync", "lazy strict"])
def test_nothing_else_is_one(text):
    with pytest.raises(ValueError, match="must be lazy, strict or none, not"):
        Durability.parse(text)

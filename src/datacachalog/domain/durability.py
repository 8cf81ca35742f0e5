"""What the cache does so that a power cut leaves no damaged copy."""

from __future__ import annotations

from enum import StrEnum


class Durability(StrEnum):
    """When copies are made sure of.

    `LAZY`: when they are first used after the machine was started anew. `STRICT`: before they are
    handed out. `NONE`: never.
    """

    LAZY = "lazy"
    STRICT = "strict"
    NONE = "none"

    @classmethod
    def parse(cls, text: str) -> Durability:
        """The policy of that name.

        Raises:
            ValueError: there is none; the message ends the sentence "durability …".

        >>> Durability.parse("strict")
        <Durability.STRICT: 'strict'>
        """
        try:
            return cls(text)
        except ValueError:
            raise ValueError(f"must be lazy, strict or none, not {text!r}") from None

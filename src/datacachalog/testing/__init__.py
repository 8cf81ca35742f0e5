"""For the authors of adapters, and of tests: the ports' contracts, and adapters in memory.

The contracts are pytest classes to subclass; pytest is imported nowhere else in datacachalog.
"""

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "datacachalog.testing needs pytest: pip install pytest", name=error.name
    ) from error

# Before they are imported, or else their assertions tell nothing of what they compared.
pytest.register_assert_rewrite(
    "datacachalog.testing.entry_contract",
    "datacachalog.testing.listing_contract",
    "datacachalog.testing.reading_contract",
    "datacachalog.testing.staging_contract",
    "datacachalog.testing.view_contract",
    "datacachalog.testing.writing_contract",
)

from datacachalog.adapters.cache.memory import MemoryCache  # noqa: E402 - as above
from datacachalog.adapters.storage.memory import MemoryStorage  # noqa: E402 - as above
from datacachalog.testing.cache_contract import CacheContract  # noqa: E402 - as above
from datacachalog.testing.place import Place  # noqa: E402 - as above
from datacachalog.testing.storage_contract import StorageContract  # noqa: E402 - as above

__all__ = ["CacheContract", "MemoryCache", "MemoryStorage", "Place", "StorageContract"]

"""What every cache promises of who uses its entries, and of their removal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from datacachalog.domain.uri import Uri
from datacachalog.testing.sources import NOON, SECOND, SOURCE, CacheFixtures, publish, source

if TYPE_CHECKING:
    from datacachalog.domain.housekeeping import Usage
    from datacachalog.domain.objects import CacheEntry
    from datacachalog.ports import CachePort

OTHER = source(Uri("s3", "lake", "b"))


def _usage(cache: CachePort, entry: CacheEntry) -> Usage:
    (found,) = (one for one in cache.usages() if one.entry.revision_id == entry.revision_id)
    return found


class HousekeepingContract(CacheFixtures):
    """`hold`, `pin`, `usages`, `remove`, `sweep`, `size_bytes` and `space`."""

    def test_what_the_store_was_last_seen_to_hold_is_current(self, cache: CachePort) -> None:
        old, new = publish(cache, b"old"), publish(cache, b"new", at=NOON + SECOND)

        assert (False, True) == (_usage(cache, old).is_current, _usage(cache, new).is_current)

    def test_what_is_forgotten_is_current_no_more(self, cache: CachePort) -> None:
        entry = publish(cache, b"bytes")

        cache.forget(*SOURCE)

        assert not _usage(cache, entry).is_current

    def test_what_is_handed_out_is_used_now_and_ours(self, cache: CachePort) -> None:
        entry = publish(cache, b"bytes")
        before = datetime.now(UTC) - timedelta(seconds=2)  # coarse clocks of file systems

        assert cache.hold(entry)

        found = _usage(cache, entry)
        assert before <= found.used_at
        assert (True, False) == (found.is_ours, found.is_pinned)

    def test_what_others_have_is_not_ours(self, cache: CachePort, again: CachePort) -> None:
        entry = publish(again, b"bytes")

        assert not _usage(cache, entry).is_ours
        assert cache.hold(entry)
        assert _usage(cache, entry).is_ours

    def test_what_has_just_come_is_held_by_who_brought_it(
        self, cache: CachePort, again: CachePort
    ) -> None:
        """Nobody removes it in the moment before it is handed out."""
        entry = publish(cache, b"bytes")

        assert () == again.remove([entry])
        assert b"bytes" == entry.path.read_bytes()

    def test_what_is_gone_cannot_be_handed_out(self, cache: CachePort) -> None:
        entry = publish(cache, b"bytes")
        cache.clear()

        assert not cache.hold(entry)
        with cache.pin(entry) as is_here:
            assert not is_here

    def test_what_is_removed_is_a_miss_and_nothing_else_is(self, cache: CachePort) -> None:
        entry, kept = publish(cache, b"bytes"), publish(cache, b"kept", into=OTHER)

        assert (entry,) == cache.remove([entry])

        assert not entry.path.exists()
        assert None is cache.current(*SOURCE)
        assert kept == cache.current(*OTHER)

    def test_what_is_superseded_goes_alone(self, cache: CachePort) -> None:
        old, new = publish(cache, b"old"), publish(cache, b"new", at=NOON + SECOND)

        assert (old,) == cache.remove([old])

        assert new == cache.current(*SOURCE)
        assert b"new" == new.path.read_bytes()

    def test_a_file_that_is_open_stays_readable(self, cache: CachePort) -> None:
        entry = publish(cache, b"bytes")

        with entry.path.open("rb") as file:
            cache.remove([entry])

            assert b"bytes" == file.read()

    def test_what_is_gone_already_is_not_removed_again(self, cache: CachePort) -> None:
        entry = publish(cache, b"bytes")
        cache.remove([entry])

        assert () == cache.remove([entry])

    def test_what_was_removed_can_be_published_again(self, cache: CachePort) -> None:
        entry = publish(cache, b"bytes")
        cache.hold(entry)
        cache.remove([entry])

        again = publish(cache, b"bytes", at=NOON + SECOND)

        assert again == cache.current(*SOURCE)
        assert b"bytes" == again.path.read_bytes()
        assert () == cache.remove([entry])  # which is not this one
        assert b"bytes" == again.path.read_bytes()

    def test_what_is_pinned_stays_until_its_last_pin_goes(self, cache: CachePort) -> None:
        entry = publish(cache, b"bytes")

        with cache.pin(entry) as is_here:
            with cache.pin(entry):
                pass
            assert is_here
            assert _usage(cache, entry).is_pinned
            assert () == cache.remove([entry])
            assert b"bytes" == entry.path.read_bytes()

        assert not _usage(cache, entry).is_pinned
        assert (entry,) == cache.remove([entry])

    def test_a_pin_holds_no_other(self, cache: CachePort) -> None:
        entry, other = publish(cache, b"bytes"), publish(cache, b"other", at=NOON + SECOND)

        with cache.pin(entry):
            assert (other,) == cache.remove([entry, other])

    def test_what_this_process_has_handed_out_may_be_removed_by_it(self, cache: CachePort) -> None:
        entry = publish(cache, b"bytes")
        cache.hold(entry)

        assert (entry,) == cache.remove([entry])
        assert not cache.hold(entry)

    def test_others_keep_what_they_pinned(self, cache: CachePort, again: CachePort) -> None:
        entry = publish(again, b"bytes")

        with cache.pin(entry):
            assert _usage(again, entry).is_pinned
            assert () == again.remove([entry])
            assert b"bytes" == entry.path.read_bytes()

        assert (entry,) == again.remove([entry])

    def test_others_keep_what_they_handed_out(self, cache: CachePort, again: CachePort) -> None:
        entry = publish(cache, b"bytes")
        cache.hold(entry)

        assert () == again.remove([entry])

        found = _usage(again, entry)
        assert (True, False) == (found.is_pinned, found.is_ours)
        assert b"bytes" == entry.path.read_bytes()

    def test_its_size_is_that_of_all_entries(self, cache: CachePort) -> None:
        assert 0 == cache.size_bytes()
        entry, _ = publish(cache, b"bytes"), publish(cache, b"kept", into=OTHER)
        publish(cache, b"newer one", at=NOON + SECOND)

        assert len(b"bytes" + b"kept" + b"newer one") == cache.size_bytes()

        cache.remove([entry])
        assert len(b"kept" + b"newer one") == cache.size_bytes()

    def test_a_sweep_leaves_what_somebody_is_at(self, cache: CachePort) -> None:
        entry = publish(cache, b"bytes")
        with cache.staging(*OTHER) as staging:
            staging.path.parent.mkdir(parents=True, exist_ok=True)
            staging.path.write_bytes(b"half")

            assert 0 == cache.sweep(dry_run=True)
            assert 0 == cache.sweep()

            assert b"half" == staging.path.read_bytes()
        assert entry == cache.current(*SOURCE)

    def test_a_sweep_of_nothing_frees_nothing(self, cache: CachePort) -> None:
        assert 0 == cache.sweep()

    def test_its_disk_has_some_space(self, cache: CachePort) -> None:
        free, total = cache.space()

        assert 0 < free <= total

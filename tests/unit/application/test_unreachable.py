"""What is served where a store cannot be asked, and what never is."""

from __future__ import annotations

import pickle
import warnings
from datetime import UTC, datetime, timedelta

import pytest

from datacachalog import Outcome, StaleWarning, State
from datacachalog.domain.errors import (
    FetchAllError,
    ObjectNotFoundError,
    OfflineError,
    RemoteChangedError,
    StorageAccessError,
    StorageUnavailableError,
)
from tests.unit.application.world import ORDERS, SECOND

DOWN = StorageUnavailableError(str(ORDERS), "the connection was refused")


@pytest.fixture
def down(storage):
    """Has the store answer nothing from now on."""

    def down(error=DOWN):
        def fail(*_):
            raise error

        storage.before = fail

    return down


class TestStale:
    def test_an_old_copy_is_served_with_a_warning(self, catalog, storage, clock, down):
        path = catalog.fetch("orders")
        storage.put(ORDERS, b"second")
        clock.go_on(timedelta(hours=1))
        down()

        with pytest.warns(StaleWarning, match="'orders' may be out of date, as of .*refused"):
            fetched = catalog.obtain("orders")

        assert (path, Outcome.STALE, DOWN) == (fetched.path, fetched.outcome, fetched.error)
        travelled = pickle.loads(pickle.dumps(fetched))  # noqa: S301 - our own
        assert (path, f"{DOWN}") == (travelled.path, f"{travelled.error}")

    def test_the_warning_points_at_whoever_fetched(self, catalog, down):
        catalog.fetch("orders")
        down()

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            catalog.fetch("orders")

        assert [__file__] == [one.filename for one in told]

    def test_a_loop_is_warned_once(self, catalog, down):
        catalog.fetch("orders")
        down()

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("default")
            for _ in range(3):
                catalog.fetch("orders")

        assert 1 == len(told)

    def test_without_a_copy_it_is_an_error(self, catalog, down):
        down()

        with pytest.raises(StorageUnavailableError):
            catalog.fetch("orders")

    def test_who_wants_none_gets_the_error(self, a_catalog, down):
        catalog = a_catalog(on_unreachable="fail")
        catalog.fetch("orders")
        down()

        with pytest.raises(StorageUnavailableError):
            catalog.fetch("orders")

    def test_a_refresh_is_not_answered_by_an_old_copy(self, catalog, down):
        catalog.fetch("orders")
        down()

        with pytest.raises(StorageUnavailableError):
            catalog.fetch("orders", refresh=True)

    @pytest.mark.parametrize(
        "error",
        [
            StorageAccessError(str(ORDERS), "AccessDenied"),
            ObjectNotFoundError(str(ORDERS)),
            RemoteChangedError(str(ORDERS)),
        ],
    )
    def test_what_the_store_says_is_never_hidden(self, catalog, down, error):
        catalog.fetch("orders")
        down(error)

        with pytest.raises(type(error)):
            catalog.fetch("orders")

    def test_the_status_tells_it(self, catalog, down):
        catalog.fetch("orders")
        down()

        (status,) = catalog.status()

        assert (State.UNKNOWN, DOWN) == (status.state, status.error)
        assert status.entry is not None

    def test_a_store_that_was_just_found_down_is_not_waited_for_again(
        self, catalog, storage, clock, down
    ):
        catalog.fetch("orders")
        down()
        storage.requests.clear()
        for _ in range(3):
            with pytest.warns(StaleWarning):
                catalog.fetch("orders")

        assert 1 == len(storage.requests)

    def test_it_is_asked_again_soon(self, catalog, storage, clock, down):
        catalog.fetch("orders")
        down()
        with pytest.warns(StaleWarning):
            catalog.fetch("orders")
        storage.before = lambda *_: None
        clock.go_on(timedelta(seconds=11))

        assert Outcome.UNCHANGED is catalog.obtain("orders").outcome

    def test_no_policy_is_refused(self, a_catalog):
        with pytest.raises(ValueError, match="must be stale or fail"):
            a_catalog(on_unreachable="perhaps")


class TestOffline:
    def test_a_copy_is_served_however_old(self, catalog, storage, clock):
        path = catalog.fetch("orders")
        clock.go_on(timedelta(days=1000))
        storage.requests.clear()

        with pytest.warns(StaleWarning, match="while offline"):
            fetched = catalog.obtain("orders", offline=True)

        assert (path, Outcome.STALE, []) == (fetched.path, fetched.outcome, storage.requests)

    def test_one_that_is_fresh_is_no_matter_of_warnings(self, a_catalog, clock):
        catalog = a_catalog(freshness="1d")
        catalog.fetch("orders")
        clock.go_on(SECOND)

        assert Outcome.CACHED is catalog.obtain("orders", offline=True).outcome

    def test_it_does_where_nobody_wants_old_copies_too(self, a_catalog):
        """Offline is said by whoever calls; the policy is for what nobody foresaw."""
        catalog = a_catalog(on_unreachable="fail")
        catalog.fetch("orders")

        with pytest.warns(StaleWarning):
            catalog.fetch("orders", offline=True)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda catalog, mine: catalog.fetch("orders"),
            lambda catalog, mine: catalog.fetch("orders", refresh=True),
            lambda catalog, mine: catalog.fetch("orders", version="v1"),
            lambda catalog, mine: catalog.fetch("orders", as_of=datetime.now(UTC)),
            lambda catalog, mine: catalog.push("orders", mine, expect="any"),
            lambda catalog, mine: catalog.versions("orders"),
            lambda catalog, mine: catalog.is_stale("orders"),
        ],
    )
    def test_what_is_not_here_is_not_asked_for(self, catalog, storage, mine, ask):
        catalog.offline = True

        with pytest.raises(OfflineError):
            ask(catalog, mine)

        assert [] == storage.requests

    def test_a_refresh_is_no_question_for_the_cache(self, catalog, storage):
        catalog.fetch("orders")

        with pytest.raises(OfflineError):
            catalog.fetch("orders", refresh=True, offline=True)

    def test_all_of_them(self, catalog, storage):
        with pytest.raises(FetchAllError) as caught:
            catalog.fetch_all(offline=True)

        assert isinstance(caught.value.failures["orders"], OfflineError)
        assert [] == storage.requests

    def test_the_status_asks_nobody(self, catalog, storage):
        catalog.fetch("orders")
        storage.requests.clear()
        catalog.offline = True

        (status,) = catalog.status()

        assert isinstance(status.error, OfflineError)
        assert [] == storage.requests

    def test_a_call_can_go_online(self, catalog, storage):
        catalog.offline = True

        assert b"first" == catalog.fetch("orders", offline=False).read_bytes()

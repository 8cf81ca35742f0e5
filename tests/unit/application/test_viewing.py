"""When a dataset's link moves, when it does not, and what comes of a link that cannot be made."""

from __future__ import annotations

import pickle
import warnings

import pytest

from datacachalog.adapters.view import DirectoryView
from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.results import Outcome, ViewWarning
from datacachalog.domain.dataset import Dataset
from datacachalog.domain.errors import DatasetNameError, StorageUnavailableError, ViewError
from datacachalog.domain.uri import Uri
from tests.unit.application.world import HOUR, NOON, ORDERS


@pytest.fixture
def link(tmp_path):
    return tmp_path / "view" / "orders.csv"


@pytest.fixture
def view(link):
    return DirectoryView(link.parent)


@pytest.fixture
def a_catalog(storage, cache, clock, view):
    def make(*, storage=storage, cache=cache, view=view, **options):
        datasets = [Dataset("orders", ORDERS, **options)]
        return CoreCatalog(datasets, storage=storage, cache=cache, clock=clock, view=view)

    return make


def test_a_fetch_makes_the_link_and_a_later_one_moves_it(catalog, storage, link):
    catalog.fetch("orders")
    assert b"first" == link.read_bytes()
    storage.put(ORDERS, b"second")

    path = catalog.fetch("orders")

    assert path.samefile(link)
    assert b"second" == link.read_bytes()


def test_one_that_is_right_is_left_as_it_is(catalog, link):
    catalog.fetch("orders")
    before = link.lstat()

    catalog.fetch("orders")

    after = link.lstat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)


def test_a_push_moves_it(catalog, mine, link):
    catalog.fetch("orders")

    catalog.push("orders", mine)

    assert b"mine" == link.read_bytes()


def test_a_fetch_from_the_cache_makes_it_too(a_catalog, link):
    catalog = a_catalog(freshness="never")
    catalog.fetch("orders")
    link.unlink()

    assert Outcome.CACHED is catalog.obtain("orders").outcome

    assert b"first" == link.read_bytes()


def test_an_old_copy_that_will_do_is_shown(catalog, storage, link):
    catalog.fetch("orders")
    link.unlink()
    storage.fail(1, StorageUnavailableError(str(ORDERS), "down"))

    with pytest.warns(UserWarning, match="out of date"):
        catalog.fetch("orders")

    assert b"first" == link.read_bytes()


@pytest.mark.parametrize("options", [{"version": "v1"}, {"as_of": NOON + HOUR}])
def test_a_fetch_of_the_past_leaves_it(a_catalog, versioned, clock, link, options):
    clock.go_on(2 * HOUR)
    versioned.put(ORDERS, b"second")
    catalog = a_catalog(storage=versioned)
    catalog.fetch("orders")

    assert b"first" == catalog.fetch("orders", **options).read_bytes()

    assert b"second" == link.read_bytes()


def test_a_fetch_of_the_past_makes_none(a_catalog, versioned, link):
    a_catalog(storage=versioned).fetch("orders", version="v1")

    assert not link.parent.exists()


@pytest.mark.parametrize("look", ["why", "plan", "status", "verify", "is_stale"])
def test_who_only_looks_makes_none(catalog, link, look):
    arguments = ["orders"] if look in {"why", "is_stale"} else [["orders"]]
    getattr(catalog, look)(*arguments)

    assert not link.parent.exists()


def test_what_is_in_its_place_stays_and_is_warned_of(catalog, link):
    link.parent.mkdir()
    link.write_bytes(b"mine")

    with pytest.warns(ViewWarning, match="something else is in its place") as told:
        path = catalog.fetch("orders")

    assert [__file__] == [one.filename for one in told]
    assert (b"first", b"mine") == (path.read_bytes(), link.read_bytes())


def test_a_program_finds_why_in_the_answer(catalog, link, mine):
    link.mkdir(parents=True)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fetched = catalog.obtain("orders")
        pushed = catalog.push("orders", mine)

    for done in (fetched, pushed):
        travelled = pickle.loads(pickle.dumps(done))  # noqa: S301 - our own
        assert isinstance(travelled.link_error, ViewError)
        assert str(link) == travelled.link_error.path
    assert [ViewWarning, ViewWarning] == [one.category for one in told]


def test_nothing_is_wrong_with_a_link_that_was_made(catalog, mine):
    assert None is catalog.obtain("orders").link_error
    assert None is catalog.push("orders", mine).link_error


class Overtaken(DirectoryView):
    """While this makes its first link, another process fetches something newer, and links it."""

    def __init__(self, folder, other):
        super().__init__(folder)
        self._other = other

    def show(self, name, path):
        other, self._other = self._other, lambda: None
        other()
        return super().show(name, path)


def test_a_link_ends_at_what_is_current_whoever_makes_it_last(a_catalog, storage, clock, link):
    def overtake():
        clock.go_on(HOUR)
        storage.put(ORDERS, b"second")
        a_catalog().fetch("orders")

    catalog = a_catalog(view=Overtaken(link.parent, overtake))

    assert b"first" == catalog.fetch("orders").read_bytes()

    assert b"second" == link.read_bytes()


def test_a_link_to_what_was_forgotten_meanwhile_stays(a_catalog, storage, cache, link):
    forget = lambda: cache.forget(storage.identity(ORDERS), ORDERS)  # noqa: E731 - a lambda says it
    catalog = a_catalog(view=Overtaken(link.parent, forget))

    catalog.fetch("orders")

    assert b"first" == link.read_bytes()


def test_names_whose_links_would_be_one_are_refused(storage, cache, clock, view):
    datasets = [Dataset("a", Uri("mem", "lake", "x.b.csv")), Dataset("a.b", "x.csv")]

    with pytest.raises(DatasetNameError, match=r"'a.b' has the link 'a.b.csv' in the view"):
        CoreCatalog(datasets, storage=storage, cache=cache, clock=clock, view=view)

    assert 2 == len(CoreCatalog(datasets, storage=storage, cache=cache, clock=clock))

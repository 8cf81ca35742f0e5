"""Options that several methods have in common are those that the methods take."""

from __future__ import annotations

from inspect import signature

from datacachalog.application.catalog import CoreCatalog
from datacachalog.application.options import FetchAllOptions, FetchOptions


def test_the_options_of_a_fetch_are_all_there():
    taken = {*signature(CoreCatalog.fetch).parameters} - {"self", "name"}

    assert taken == {*FetchOptions.__annotations__}


def test_the_options_for_many_are_all_there():
    taken = {*signature(CoreCatalog.try_all).parameters} - {"self", "names"}

    assert {*FetchAllOptions.__annotations__} <= taken

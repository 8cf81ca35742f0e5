from concurrent.futures import ThreadPoolExecutor

import pytest

from datacachalog.domain.lineage import current_recorder, recording


class _Notes:
    """Notes what it hears."""

    def read(self, table_name: str, snapshot_id: str) -> None: ...

    def wrote(self, table_name: str, snapshot_id: str) -> None: ...

    def read_object(self, uri: str) -> None: ...

    def wrote_object(self, uri: str) -> None: ...


def test_outside_of_a_run_there_is_no_recorder():
    assert current_recorder() is None


def test_the_innermost_recorder_is_the_current_one_until_its_block_ends():
    outer, inner = _Notes(), _Notes()

    with recording(outer):
        with recording(inner):
            assert current_recorder() is inner
        assert current_recorder() is outer
        with recording(None):
            assert current_recorder() is None
    assert current_recorder() is None


def test_an_error_ends_the_recording():
    with pytest.raises(RuntimeError), recording(_Notes()):
        raise RuntimeError

    assert current_recorder() is None


def test_a_pool_s_threads_do_not_inherit_the_recorder():
    with recording(_Notes()), ThreadPoolExecutor(1) as pool:
        assert pool.submit(current_recorder).result() is None

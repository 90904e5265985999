"""Spikes, and the series of this machine."""

import pytest

from cloudx.api.host_history import FIGURES, HostHistory, is_spike


def test_a_value_far_over_the_others_is_a_spike():
    assert is_spike(90.0, [5.0, 6.0, 5.5, 5.0, 6.0])


@pytest.mark.parametrize("value", [5.0, 12.0, 0.0])
def test_the_flicker_of_an_idle_machine_is_none(value):
    assert not is_spike(value, [5.0, 6.0, 5.5, 5.0, 6.0])


def test_with_hardly_anything_to_compare_nothing_is_a_spike():
    assert not is_spike(100.0, [1.0, 1.0])


def test_each_series_is_in_percent_and_oldest_first():
    history = HostHistory()
    for _ in range(3):
        history.sample()
    shown = history.shown()
    assert set(shown) == set(FIGURES)
    for series in shown.values():
        assert all(0 <= point["value"] <= 100 for point in series)
        assert [point["timestamp"] for point in series] == sorted(point["timestamp"] for point in series)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_planner.size.curves import Need
from dgdr_planner.size.need import DOWN, UP, Advice, advise, noise


def advised(
    grow: float, current: int, hold: float | None = None, near: tuple[float, ...] = ()
) -> Advice:
    need = Need(grow=grow, hold=grow if hold is None else hold)
    return advise(need, current, 0.02, near)


@pytest.mark.parametrize(
    ("grow", "hold", "current", "replicas"),
    [
        pytest.param(3.2, 3.2, 1, 4, id="clearly more"),
        pytest.param(3.1, 3.1, 3, 3, id="more by no more than noise"),
        pytest.param(3.2, 3.2, 3, 4, id="more by more than noise, and a new replica is whole"),
        pytest.param(2.0, 2.0, 3, 3, id="two would have nothing to spare"),
        pytest.param(1.8, 1.8, 3, 2, id="two are enough, with a band"),
        pytest.param(1.0, 2.5, 3, 3, id="a peak before a new replica is ready holds"),
        pytest.param(0.2, 0.2, 9, 1, id="down to what the load needs"),
        pytest.param(0.0, 0.0, 2, 0, id="nothing is needed for nothing"),
        pytest.param(0.5, 0.5, 0, 1, id="from none"),
    ],
)
def test_advice(grow: float, hold: float, current: int, replicas: int) -> None:
    assert advised(grow, current, hold).replicas == replicas


def test_needs_inside_the_band_decide_by_their_mean() -> None:
    near: tuple[float, ...] = ()
    seen = []
    for grow in (3.4, 3.5, 3.6):
        advice = advise(Need(grow=grow, hold=grow), 3, 0.08, near)
        near = advice.near
        seen.append(advice.replicas)
    assert seen == [3, 3, 4]


def test_needs_that_hover_a_little_above_never_move_anything() -> None:
    near: tuple[float, ...] = ()
    for grow in (3.02, 3.12) * 50:
        advice = advised(grow, 3, near=near)
        near = advice.near
        assert advice.replicas == 3


def test_a_need_far_below_ends_the_counting() -> None:
    near = advised(3.1, 3, near=(3.1,)).near
    assert near == (3.1, 3.1)
    assert advised(2.0, 3, hold=3.0, near=near).near == ()


def test_the_noise_is_that_of_counting() -> None:
    assert noise(400) == pytest.approx(0.05)
    assert noise(1) == noise(0) == 0.08
    assert noise(1e9) == 0.02


@given(
    grow=st.floats(0, 100),
    more=st.floats(0, 20),
    current=st.integers(0, 100),
    requests=st.floats(0, 1e6),
)
def test_whatever_is_needed_advice_is_enough_and_stays(
    grow: float, more: float, current: int, requests: float
) -> None:
    share = noise(requests)
    need = Need(grow=grow, hold=grow + more)
    advice = advise(need, current, share, ())
    assert advice.replicas * (1 + UP * share) + 1e-6 >= grow
    if advice.replicas < current:
        assert advice.replicas * (1 - DOWN * share) + 1e-6 >= need.hold
    # The same need again moves nothing: no advice can chase itself.
    assert advise(need, advice.replicas, share, ()).replicas == advice.replicas


def test_what_is_kept_varies_as_the_load_that_it_is_kept_for() -> None:
    need = Need(grow=0.6, hold=1.94)
    assert advise(need, 3, 0.05, ()).replicas == 3
    assert advise(need, 3, 0.05, (), 0.02).replicas == 2

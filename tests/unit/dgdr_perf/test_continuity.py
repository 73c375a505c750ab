"""Acceptance 2: no cliffs, nothing negative, a harder demand never gets fewer replicas."""

import numpy as np
import pytest

from bench.continuity import SIZES, sweep
from bench.reference import profiles, reference_engine
from dgdr_perf.sizing import Percentile

PROFILES = profiles()
FINE = [
    (label, size, name)
    for label in PROFILES
    for size in ("prefill RoundRobin", "decode")
    for name in SIZES[size][1]
]
COARSE = [
    (size, name)
    for size in ("prefill Shared", "prefill Random", "aggregated")
    for name in SIZES[size][1]
]


@pytest.mark.parametrize(("label", "size", "name"), FINE)
def test_one_percent_more_is_no_cliff(label: str, size: str, name: str) -> None:
    found = sweep(PROFILES[label], SIZES[size][0], name, Percentile.P95)
    assert (found.broken, found.falling, found.bad) == (0, 0, 0)


@pytest.mark.parametrize(("size", "name"), COARSE)
def test_a_harder_demand_never_gets_fewer(size: str, name: str) -> None:
    found = sweep(reference_engine(), SIZES[size][0], name, Percentile.P95, step=1.15)
    assert (found.falling, found.bad) == (0, 0)


@pytest.mark.parametrize("label", PROFILES)
def test_curves_never_fall_and_are_never_negative(label: str) -> None:
    profile = PROFILES[label]
    ttft = profile.prefill.ttft_of_lengths(np.arange(1.0, 40_000.0))
    batches = np.geomspace(0.5, 4000, 300)
    contexts = np.geomspace(16, 60_000, 150)
    itl = np.array([profile.decode.itl_of_batches(batches, context) for context in contexts])
    assert ttft.min() > 0
    assert itl.min() > 0
    assert (np.diff(ttft) >= -1e-9 * ttft[:-1]).all()
    assert (np.diff(itl, axis=0) >= -1e-9 * itl[:-1]).all()
    assert (np.diff(itl, axis=1) >= -1e-9 * itl[:, :-1]).all()


@pytest.mark.parametrize("label", PROFILES)
def test_pairs_are_what_one_context_at_a_time_is(label: str) -> None:
    surface = PROFILES[label].decode
    batches = np.geomspace(0.5, 4000, 120)
    contexts = np.geomspace(0.5, 60_000, 80)
    pairs = surface.itl_of_pairs(batches[None, :], contexts[:, None])
    one_by_one = [surface.itl_of_batches(batches, context) for context in contexts]
    np.testing.assert_allclose(pairs, one_by_one, rtol=1e-12)

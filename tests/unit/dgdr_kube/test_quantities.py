"""Quantities as the API server reads them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_kube.quantities import amount


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.5", "0.5"),
        ("500m", "0.5"),
        (2, "2"),
        (0.5, "0.5"),
        (".5", "0.5"),
        ("1.", "1"),
        ("1k", "1000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", "1000000000000000000"),
        ("1.5Gi", "1610612736"),
        ("100n", "1e-7"),
        ("-1", "-1"),
    ],
)
def test_an_amount(value: object, expected: str) -> None:
    assert amount(value) == Decimal(expected)


@pytest.mark.parametrize("value", ["", "30s", "1 Gi", "Gi", True, None, [], "1K", "nan", "inf"])
def test_what_is_no_quantity_has_none(value: object) -> None:
    assert amount(value) is None


@given(st.integers(0, 10**15))
def test_spellings_of_one_amount_are_equal(milli: int) -> None:
    assert amount(f"{milli}m") == amount(f"{milli}000u") == amount(str(Decimal(milli) / 1000))

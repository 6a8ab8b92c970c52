"""Amounts: the gate from text, exact arithmetic, and splits that lose nothing."""

import json
import random
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finora_core.kernel.amount import MAX_UNITS, Amount, AssetMismatch, BadAmount, allocate, total
from finora_core.kernel.asset import Asset, BadAsset, currency
from finora_core.kernel.plain import to_plain

EUR, JPY, KWD = currency("EUR"), currency("JPY"), currency("KWD")
ETH = Asset("eip155:1/slip44:60", 18)
UINT256_MAX = 2**256 - 1

BAD = (
    "", " ", "-", "+", ".", "-.", ".5", "5.", "-5.", "+5", "++5", "--5", "- 5", " 5", "5 ", "5\n",
    "\t5", "\ufeff5", "5\u200b", "\x005", "5\x00", "00", "01", "-01", "007.50", "00.5",
    "1_000", "1,000", "1,00", "1.000,00", "1 000", "1\u00a0000", "1'000", "1..0", "1.2.3", "1-",
    "1e3", "1E3", "1e400", "1e1000000", "-1e-1", "1.5e1", "0x10", "0b1", "0o7", "1f", "12L",
    "NaN", "nan", "-NaN", "sNaN", "Infinity", "-Infinity", "inf", "Inf", "∞", "None", "null",
    "true", "٥", "١٢٣", "１２", "1２", "१२", "²", "½", "Ⅷ", "1.５", "−5", "–5", "$5", "5 EUR",
    "EUR 5", "5%", "1/2", "(5)", "5-", "[5]", "\ud800", "1" * 5_000, "9" * 79, "0." + "0" * 79,
    "1e9999999999999999999", "-" + "1" * 100_000, "1." + "1" * 100_000,
)  # fmt: skip


@pytest.mark.invariant("I-11")
@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:12]))
@pytest.mark.parametrize("asset", [EUR, JPY, ETH], ids=str)
def test_what_is_no_plain_decimal_is_refused(text: str, asset: Asset) -> None:
    with pytest.raises(BadAmount):
        Amount.parse(text, asset)


@pytest.mark.parametrize(
    ("text", "asset"),
    [("0.001", EUR), ("1.005", EUR), ("-0.009", EUR), ("0.5", JPY), ("0.1", JPY), ("1.0001", KWD),
     ("0." + "0" * 18 + "1", ETH)],
)  # fmt: skip
def test_a_finer_fraction_is_refused_and_never_rounded(text: str, asset: Asset) -> None:
    with pytest.raises(BadAmount, match="decimal places"):
        Amount.parse(text, asset)


@pytest.mark.parametrize(
    ("text", "asset", "units"),
    [("0", EUR, 0), ("-0", EUR, 0), ("0.00", EUR, 0), ("-0.00", EUR, 0), ("5", EUR, 500),
     ("5.1", EUR, 510), ("-12.34", EUR, -1234), ("1.10000", EUR, 110), ("100.000", JPY, 100),
     ("0.001", KWD, 1), ("0.000000000000000001", ETH, 1)],
)  # fmt: skip
def test_a_plain_decimal_is_read_exactly(text: str, asset: Asset, units: int) -> None:
    assert Amount.parse(text, asset).units == units


@pytest.mark.spec("S1-6")
def test_the_largest_uint256_fits_and_the_bound_holds_on_both_sides() -> None:
    whole = Asset("wei", 0)
    for units in (UINT256_MAX, MAX_UNITS, -MAX_UNITS):
        assert Amount.parse(str(units), whole).units == units
    for units in (MAX_UNITS + 1, -MAX_UNITS - 1):
        with pytest.raises(BadAmount):
            Amount.parse(str(units), whole)
    with pytest.raises(BadAmount, match="larger"):
        Amount.parse("1" + "0" * 77, ETH)


@given(units=st.integers(-MAX_UNITS, MAX_UNITS), scale=st.integers(0, 36))
def test_text_and_units_are_each_others_inverse(units: int, scale: int) -> None:
    asset = Asset("x", scale)
    text = Amount(units, asset).text
    assert Amount.parse(text, asset).units == units
    assert Decimal(text) == Decimal(units).scaleb(-scale, context=Context(prec=200))
    assert len(text.rpartition(".")[2]) == scale or scale == 0


@given(text=st.text(alphabet="0123456789.-+eE_, ٣N", max_size=12))
def test_the_gate_accepts_exactly_the_numbers_that_decimal_reads_alike(text: str) -> None:
    try:
        units = Amount.parse(text, EUR).units
    except BadAmount:
        return
    assert Decimal(text) * 100 == units
    assert not set(text) - set("0123456789.-")


@pytest.mark.spec("S1-6")
def test_a_sum_of_huge_amounts_is_exact() -> None:
    huge = Amount(2**255 + 1, ETH)
    assert total([huge] * 7)[ETH].units == 7 * (2**255 + 1)
    assert (huge + huge - huge).units == 2**255 + 1


@pytest.mark.spec("S1-6")
def test_amounts_travel_in_json_as_text() -> None:
    amount = Amount(UINT256_MAX, ETH)
    plain: Any = json.loads(json.dumps(to_plain(amount)))
    assert plain == {"amount": amount.text, "asset": "eip155:1/slip44:60"}
    assert Amount.parse(plain["amount"], ETH) == amount


@pytest.mark.parametrize("units", [True, False, 1.0, 0.1, float("nan"), Decimal(1), "1", None])
def test_units_are_an_int_and_nothing_that_looks_like_one(units: Any) -> None:
    with pytest.raises(BadAmount):
        Amount(units, EUR)


@pytest.mark.parametrize("other", [Amount(1, JPY), Amount(1, Asset("EUR", 3))], ids=str)
def test_arithmetic_between_assets_is_refused(other: Amount) -> None:
    one = Amount(1, EUR)
    for wrong in (
        lambda: one + other, lambda: one - other, lambda: one < other, lambda: one <= other,
        lambda: one > other, lambda: one >= other, lambda: max(one, other),
    ):  # fmt: skip
        with pytest.raises(AssetMismatch):
            wrong()
    assert one != other
    assert set(total([one, other])) == {one.asset, other.asset}


def test_order_sign_and_truth() -> None:
    one, two = Amount(1, EUR), Amount(2, EUR)
    assert one < two
    assert two >= one
    assert abs(-two) == two
    assert not Amount(0, EUR)
    assert str(-two) == "-0.02 EUR"
    with pytest.raises(TypeError):
        sum([one, two])


@pytest.mark.parametrize(
    ("asset_id", "scale"),
    [("", 2), ("-x", 2), ("a b", 2), ("a\n", 2), ("é", 2), ("x" * 201, 2), ("x", -1), ("x", 37),
     ("x", 2.0), ("x", True), ("a'b", 0), ("٣", 0)],
)  # fmt: skip
def test_an_asset_has_a_plain_id_and_a_scale_up_to_36(asset_id: str, scale: Any) -> None:
    with pytest.raises(BadAsset):
        Asset(asset_id, scale)


# --- splits --------------------------------------------------------------------------------------

WEIGHTS = st.lists(
    st.one_of(st.integers(0, 5), st.integers(0, 10**4), st.integers(0, 10**60)),
    min_size=1,
    max_size=6,
).filter(any)


def check_split(units: int, weights: list[int], turn: int) -> None:
    """It conserves, stays within a unit of the exact share, and forgets order and sign."""
    keyed = dict(enumerate(weights))
    shares = allocate(units, keyed)
    whole = sum(weights)
    assert sum(shares.values()) == units
    for key, weight in keyed.items():
        # Exact: |share - units * weight / whole| < 1, without a fraction.
        assert abs(shares[key] * whole - units * weight) < whole
        assert weight or not shares[key]
    pairs = list(keyed.items())
    for order in (pairs[turn:] + pairs[:turn], pairs[::-1]):
        assert allocate(units, dict(order)) == shares
    assert {key: -part for key, part in allocate(-units, keyed).items()} == shares


@pytest.mark.invariant("I-12")
@settings(max_examples=2_000, deadline=None)
@given(
    units=st.one_of(st.integers(-100, 100), st.integers(-(10**60), 10**60)),
    weights=WEIGHTS,
    turn=st.integers(0, 5),
)
def test_a_split_conserves_and_is_fair(units: int, weights: list[int], turn: int) -> None:
    check_split(units, weights, turn)


@pytest.mark.invariant("I-12")
def test_ten_thousand_splits_conserve_and_are_fair() -> None:
    """Larger ones than hypothesis draws in the same time."""
    choice = random.Random(20260301)
    for _ in range(10_000):
        largest = choice.choice([3, 100, 10**9, 10**60])
        size = choice.randint(1, 12)
        weights = [choice.choice([0, choice.randint(0, largest)]) for _ in range(size)]
        if any(weights):
            units = choice.randint(-largest, largest) * choice.choice([1, 1, 10**18])
            check_split(units, weights, choice.randint(0, 11))


@pytest.mark.invariant("I-12")
@pytest.mark.parametrize(
    "weights", [{}, {"a": 0}, {"a": -1, "b": 2}, {"a": 0.5, "b": 0.5}, {"a": True}, {"a": "1"},
                {"a": Decimal(1)}, {"a": float("nan")}],
    ids=str,
)  # fmt: skip
def test_weights_are_whole_not_negative_and_not_all_zero(weights: Any) -> None:
    with pytest.raises(BadAmount):
        Amount(100, EUR).split(weights)


@pytest.mark.invariant("I-12")
def test_what_is_left_goes_to_the_largest_remainders_then_by_key() -> None:
    assert {k: a.units for k, a in Amount(100, EUR).split({"a": 1, "b": 1, "c": 1}).items()} == {
        "a": 34, "b": 33, "c": 33,
    }  # fmt: skip
    assert {k: a.units for k, a in Amount(7, EUR).split({"z": 3, "b": 2, "a": 2}).items()} == {
        "z": 3, "b": 2, "a": 2,
    }  # fmt: skip
    assert Amount(5, EUR).split({"a": 0, "b": 9})["a"].units == 0

"""The ISO 4217 table, held against a list written down independently."""

import pytest

from finora_core.kernel.asset import CURRENCIES, UnknownAsset, currency
from finora_core.kernel.currencies import DIGITS, WITHDRAWN

# Every active currency whose minor unit is not 2, from ISO 4217 list one (2026-01-01).
EXCEPTIONS = {
    "BHD": 3, "BIF": 0, "CLF": 4, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3,
    "JPY": 0, "KMF": 0, "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0, "TND": 3,
    "UGX": 0, "UYI": 0, "UYW": 4, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip

# The currencies of list one by country, funds' codes (BOV, CHE, ...) and metals left out.
ACTIVE = set(
    """
AFN EUR ALL DZD USD AOA XCD XAD ARS AMD AWG AUD AZN BSD BHD BDT BBD BYN BZD XOF BMD INR BTN BOB
BAM BWP NOK BRL BND BIF CVE KHR XAF CAD KYD CLP CNY COP KMF CDF NZD CRC CUP XCG CZK DKK DJF DOP
EGP SVC ERN SZL ETB FKP FJD XPF GMD GEL GHS GIP GTQ GBP GNF GYD HTG HNL HKD HUF ISK IDR IRR IQD
ILS JMD JPY JOD KZT KES KPW KRW KWD KGS LAK LBP LSL ZAR LRD LYD CHF MOP MKD MGA MWK MYR MVR MRU
MUR MXN MDL MNT MAD MZN MMK NAD NPR NIO NGN OMR PKR PAB PGK PYG PEN PHP PLN QAR RON RUB RWF SHP
WST STN SAR RSD SCR SLE SGD SBD SOS SSP LKR SDG SRD SEK SYP TWD TJS TZS THB TOP TTD TND TRY TMT
UGX UAH AED UYU UZS VUV VES VED VND YER ZMW ZWG
""".split()  # noqa: SIM905  # as the standard lists them
)


def test_every_active_currency_is_there_with_its_digits() -> None:
    known = {code: DIGITS[code] for code in ACTIVE}
    assert known == {code: EXCEPTIONS.get(code, 2) for code in ACTIVE}
    assert not WITHDRAWN.intersection(ACTIVE)


def test_no_other_active_currency_is_claimed_to_have_other_digits() -> None:
    odd = {code: n for code, n in DIGITS.items() if n != 2 and code not in WITHDRAWN}
    assert odd == EXCEPTIONS


def test_what_is_neither_active_nor_withdrawn_is_a_funds_code() -> None:
    rest = set(DIGITS) - WITHDRAWN - ACTIVE
    assert rest == {"BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW"}


def test_every_code_is_three_capitals_and_listed_once() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in DIGITS)
    assert len({asset.id for asset in CURRENCIES}) == len(CURRENCIES) == len(DIGITS)


@pytest.mark.parametrize("code", ["eur", "EURO", "", "XXX", "XAU", "XTS", "BTC", "EU\u0052\n"])
def test_what_is_no_currency_is_unknown(code: str) -> None:
    with pytest.raises(UnknownAsset):
        currency(code)

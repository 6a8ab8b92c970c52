"""ISO 4217: code and number of decimal digits (list one, and the withdrawn codes that old
statements still name), funds' codes among them. Metals, units of account and testing codes, which
have no digits, are left out."""

_TWO = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL
MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP
TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_OTHER = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
# Withdrawn, with the digits they had when withdrawn.
_WITHDRAWN = {
    0: "ADP BEF BYR ESP GRD ITL LUF MGF PTE TPE TRL",
    2: """ANG ATS AZM BGL BGN CSD CUC CYP CZE DDM DEM EEK FIM FRF GHC HRK IEP LTL LVL MRO MTL MXP
    MZM NLG PLZ ROL RUR SDD SIT SKK SLL SRG STD TMM UAK VEB VEF YUM ZMK ZRN ZWL""",
}

DIGITS: dict[str, int] = dict.fromkeys(_TWO.split(), 2)
for _table in (_OTHER, _WITHDRAWN):
    for _digits, _codes in _table.items():
        DIGITS |= dict.fromkeys(_codes.split(), _digits)

WITHDRAWN = frozenset(" ".join(_WITHDRAWN.values()).split())

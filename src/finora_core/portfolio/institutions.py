"""The institutions that every tenant sees; one of a tenant's own is `manual`, by whatever name its
accounts have. What is said here names no customer of theirs, so it is part of the release."""

from collections.abc import Mapping

from finora_core.portfolio.model import BadPortfolioAccount, Institution, InstitutionType

_BY_TYPE: Mapping[InstitutionType, str] = {
    InstitutionType.BANK: "ING, N26, Revolut, Wise",
    InstitutionType.BROKER: "DEGIRO, eToro, Freetrade, Interactive Brokers, Parqet, "
    "Scalable Capital, Trade Republic, Trading 212, Vanguard, XTB",
    InstitutionType.CRYPTO_EXCHANGE: "Binance, Bitvavo, Coinbase, Kraken, Relai",
    InstitutionType.CRYPTO_WALLET: "Ledger, MetaMask",
}
MANUAL = Institution("manual", "Manual", InstitutionType.OTHER)


def _listed() -> Mapping[str, Institution]:
    found = {MANUAL.id: MANUAL}
    for kind, names in _BY_TYPE.items():
        for name in names.split(", "):
            key = name.lower().replace(" ", "_")
            found[key] = Institution(key, name, kind)
    return found


CATALOGUE = _listed()
"""By id."""


def institution(key: str) -> Institution:
    """Raises BadPortfolioAccount."""
    found = CATALOGUE.get(key)
    if found is None:
        said = f"there is no institution {key[:40]!r}; one of your own is manual"
        raise BadPortfolioAccount(said, details=(("institution", said),))
    return found

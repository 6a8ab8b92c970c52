from finora_metals import Prices

from finora_core.testing import PricesSuite


class TestPrices(PricesSuite):
    provider = Prices

"""Finora inside another program: open the books, take a statement in, say what is there."""

import sys

from finora import Finora

with Finora.open(data=sys.argv[1]) as finora:
    scope = finora.scope(tenant="acme", user="u1")
    print(finora.import_file(scope, sys.argv[2]))
    for balance in finora.ledger.balances(scope):
        print(balance.account.name, balance.amount)

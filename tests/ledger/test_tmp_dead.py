from books import *
import random, time
from together import *
from sqlalchemy import text
from finora import *
from finora_core.kernel.errors import Refusal
from datetime import datetime, UTC
import pytest
def test_it(books, admin):
    ledger=books.ledger
    accts=[books.open(n, floor=None) for n in "ABCDE"]
    usd=currency("USD")
    for a in accts:
        for b in accts:
            if a!=b:
                books.pay(a,b,1); books.pay(a,b,1,usd)
    PAST=datetime(2020,1,1,tzinfo=UTC)
    holds=[]
    def go(seed):
        r=random.Random(seed); n=0
        for _ in range(40):
            a,b=r.sample(accts,2); asset=r.choice([EUR,usd])
            try:
                k=r.randrange(6)
                if k==0: holds.append(ledger.hold(books.scope,a,Amount(1,asset),expires_at=r.choice([None,None,PAST])).id)
                elif k==1 and holds: ledger.post_hold(books.scope,r.choice(holds[-8:]),b)
                elif k==2 and holds: ledger.void_hold(books.scope,r.choice(holds[-8:]))
                elif k==3: ledger.expire_holds(books.scope)
                elif k==4: ledger.exchange(books.scope,a,Amount(1,EUR),usd,__import__('decimal').Decimal(1),"x",into=b)
                else: books.pay(a,b,1,asset)
            except Refusal as e:
                assert e.code in ("HOLD_ENDED","HOLD_EXPIRED"), e
    t=time.time()
    res=together(*[lambda s=s: go(s) for s in range(16)])
    print(errors(res), time.time()-t)
    time.sleep(1.5)
    with admin.connect() as c: print("deadlocks", c.scalar(text("select deadlocks from pg_stat_database where datname=current_database()")))

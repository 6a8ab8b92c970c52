"""The page of the portfolio."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from desk import EUR, Desk, thing
from finora import Amount, Finora, Scope
from finora_adapters.postgres.work import Postgres
from finora_core.portfolio.model import ActivityKind


@pytest.mark.spec("S0-56", partial=True)
def test_the_page_shows_what_is_known_and_what_is_not(
    client: FlaskClient, database: Postgres, finora: Finora, scope: Scope
) -> None:
    empty = client.get("/portfolio").text
    assert "Nothing is held yet" in empty
    account = finora.portfolio.open_account(scope, "Main")
    desk = Desk(finora, scope, account, database)
    tag = desk.account.id.hex[-8:]
    one, other = thing(f"SEEN-{tag}"), thing(f"UNSEEN-{tag}")
    at = datetime.now(UTC) - timedelta(days=40)
    desk.trade(one, "2", "100", at)
    desk.trade(other, "1", "50", at)
    desk.price(one, "123.45", at)
    desk.add(kind=ActivityKind.DIVIDEND, asset=one.id, at=at, price=None,
             counter=Amount.parse("3.21", EUR))  # fmt: skip
    finora.run_jobs()
    shown = client.get("/portfolio?span=all").text
    for said in ("246.90", "no price", "some has no price", "3.21", "46.90", f"UNSEEN-{tag}"):
        assert said in shown, said
    assert "None" not in shown
    assert client.get("/portfolio?span=2").status_code == 400
    by_type = client.get("/portfolio?by=type").text
    assert "Securities" in by_type and "1 without a price" in by_type
    assert client.get("/portfolio?by=colour").status_code == 400
    for asset, quantity, said in ((one.id, "2.00", "246.90"), (other.id, "1.00", "no price")):
        course = client.get(f"/portfolio?account={account.id}&asset={asset}").text
        row = course.partition('id="course-of-one"')[2]
        assert said in row and quantity in row
        assert "None" not in course
    assert client.get(f"/portfolio?account={account.id}&asset=ticker:NOBODY").status_code == 400
    assert client.get(f"/portfolio?account={uuid4()}&asset={one.id}").status_code == 404

"""Reversal: a fact is undone by its mirror image, once, at its date."""

from uuid import UUID

import attrs
import pytest

from books import DAY, EUR, Books, entry
from finora import AccountKind, Amount, Posting, currency
from finora_core.kernel.ids import new_id
from finora_core.ledger import model
from finora_core.ledger.model import Entry, Flow

USD = currency("USD")


@pytest.mark.invariant("I-09")
def test_a_reversal_is_the_mirror_at_the_originals_date(
    books: Books, cash: UUID, world: UUID
) -> None:
    euros, dollars = Amount(300, EUR), Amount(7, USD)
    legs = [Posting(cash, -euros), Posting(world, euros), Posting(cash, dollars),
            Posting(world, -dollars)]  # fmt: skip
    made = books.ledger.post(books.scope, legs, on_date=DAY, reference="rent")
    back = books.ledger.reverse(books.scope, made.id)
    assert (back.on_date, back.reverses, back.reference) == (DAY, made.id, "rent")
    assert [(leg.account_id, leg.amount) for leg in back.postings] == [
        (leg.account_id, -leg.amount) for leg in made.postings
    ]
    assert books.ledger.entry(books.scope, back.id) == back
    assert books.ledger.entry(books.scope, made.id) == made
    assert books.units(cash) == 10_000
    assert books.units(cash, USD) == 0


@pytest.mark.invariant("I-09")
def test_neither_an_original_nor_a_reversal_is_reversed_again(
    books: Books, cash: UUID, world: UUID
) -> None:
    made = books.pay(cash, world, 300)
    back = books.ledger.reverse(books.scope, made.id)
    for each in (made, back):
        with pytest.raises(model.AlreadyReversed):
            books.ledger.reverse(books.scope, each.id)
    assert books.units(cash) == 10_000


def test_a_reversal_keeps_the_floor(books: Books, world: UUID) -> None:
    purse = books.open("Purse", floor=0)
    earned = books.pay(world, purse, 500)
    books.pay(purse, world, 400)
    with pytest.raises(model.InsufficientFunds):
        books.ledger.reverse(books.scope, earned.id)
    assert books.units(purse) == 100
    books.pay(world, purse, 400)
    books.ledger.reverse(books.scope, earned.id)
    assert books.units(purse) == 0


@pytest.mark.invariant("I-09")
@pytest.mark.parametrize("wrong", ["less", "more", "other account", "other date", "other flow",
                                   "same sign", "of a reversal", "of nothing"])  # fmt: skip
def test_an_entry_that_only_calls_itself_a_reversal_is_refused(
    books: Books, cash: UUID, world: UUID, wrong: str
) -> None:
    made = books.pay(cash, world, 300)
    other = books.open("Other")
    false = made.reversal(new_id())
    match wrong:
        case "less" | "more" | "same sign":
            units = {"less": 299, "more": 301, "same sign": -300}[wrong]
            false = entry((cash, units), (world, -units), reverses=made.id)
        case "other account":
            false = entry((other, 300), (world, -300), reverses=made.id)
        case "other date":
            false = attrs.evolve(false, on_date=DAY.replace(day=2))
        case "other flow":
            false = attrs.evolve(false, flow=Flow.TRANSFER)
        case "of a reversal":
            back = books.ledger.reverse(books.scope, made.id)
            false = entry((cash, -300), (world, 300), reverses=back.id)
        case "of nothing":
            false = attrs.evolve(false, reverses=new_id())
    before = books.units(cash)
    with pytest.raises((model.BadPosting, model.EntryNotFound)):
        books.ledger.post_many(books.scope, [false])
    assert books.units(cash) == before


def test_a_true_reversal_may_come_in_a_batch(books: Books, cash: UUID, world: UUID) -> None:
    made = [books.pay(cash, world, units) for units in (1, 2, 3)]
    back: list[Entry] = [each.reversal(new_id()) for each in made]
    books.ledger.post_many(books.scope, [*back, entry((cash, -9), (world, 9))])
    assert books.units(cash) == 9_991


def test_a_paid_hold_is_reversed_like_any_entry(books: Books, cash: UUID) -> None:
    shop = books.open("Shop", AccountKind.EXPENSE)
    held = books.ledger.hold(books.scope, cash, Amount(400, EUR))
    paid = books.ledger.post_hold(books.scope, held.id, shop)
    books.ledger.reverse(books.scope, paid.id)
    assert (books.units(cash), books.held(cash), books.units(shop)) == (10_000, 0, 0)
    with pytest.raises(model.HoldEnded):
        books.ledger.post_hold(books.scope, held.id, shop)

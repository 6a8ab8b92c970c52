"""What must not leave does not leave, however it is written."""

import json
import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora_core.intelligence.redaction import Ours, Redactor, is_card, is_iban
from intelligence.personal import KINDS, SEPARATORS, WORDS

PLAIN = Redactor()


def personal_left(text: str) -> list[str]:
    """Of what is left, what is still somebody's; found in another way than it was hidden."""
    found = [match[0] for match in re.finditer(r"\S+@\S+\.\w", text)]
    dense = re.sub(r"[\W_]", "", text).upper()
    # Digits that only an odd sign or two stand between.
    for run in re.findall(r"[0-9](?:[\W_]{0,2}[0-9])*", text):
        digits = re.sub("[^0-9]", "", run)
        if len(digits) > 6 or is_card(digits):
            found.append(run)
    for start in range(len(dense)):
        found += [dense[start:end] for end in range(start + 15, min(start + 35, len(dense) + 1))
                  if is_iban(dense[start:end])]  # fmt: skip
    return found


@pytest.mark.spec("S3-25", partial=True)
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_nothing_of_the_kind_leaves(kind: str, data: st.DataObject) -> None:
    secret = data.draw(KINDS[kind])
    before, after = data.draw(WORDS), data.draw(WORDS)
    text = before + data.draw(SEPARATORS) + secret + data.draw(SEPARATORS) + after
    said = PLAIN.text(text)
    assert secret not in said
    assert not personal_left(said), said
    assert "[" in said


@pytest.mark.parametrize(("text", "said"), [
    ("REWE SAGT DANKE 4711", "REWE SAGT DANKE 4711"),
    ("VISA 4111 1111 1111 1111 NETFLIX", "VISA [card] NETFLIX"),
    ("VISA ４１１１１１１１１１１１１１１１", "VISA [card]"),
    ("4111\u200b1111\u200b1111\u200b1111", "[card]"),
    ("٤١١١١١١١١١١١١١١١", "[card]"),
    ("SEPA DE89 3704 0044 0532 0130 00 Miete", "SEPA [iban] Miete"),
    ("REFDE89370400440532013000", "REF[iban]"),
    ("gb82west12345698765432", "[iban]"),
    ("MT84 MALT 0110 0001 2345 MTLC AST0 01S", "[iban]"),
    ("von anna.huber@example.org", "von [email]"),
    ("Tel +43 (0) 664 123 45 67", "Tel [phone]"),
    ("0043 664 1234567", "[phone]"),
    ("Kundennr. 123456", "Kundennr. [number]"),
    ("AMZN Mktp US*2K4LM9", "AMZN Mktp US*2K4LM9"),
    ("TESCO STORES 6284", "TESCO STORES 6284"),
    ("", ""),
])  # fmt: skip
def test_shops_are_still_known(text: str, said: str) -> None:
    assert PLAIN.text(text) == said


@pytest.mark.spec("S3-25", partial=True)
def test_names_are_hidden_as_banks_write_them() -> None:
    redactor = Redactor.knowing(["Anna-Maria Müller", "José Ångström", "Al"])
    said = redactor.text("Überweisung MULLER, ANNA an Jose ANGSTRÖM; Al dente; Annas Laden")
    assert said == "Überweisung [name], [name] an [name] [name]; Al dente; Annas Laden"


@given(st.text())
def test_hiding_is_stable(text: str) -> None:
    """What was hidden once has nothing left to hide."""
    once = PLAIN.text(text)
    assert PLAIN.text(once) == once


def test_values_are_hidden_at_any_depth_and_stay_json() -> None:
    value = {
        "a": ["4111111111111111", {"b": ("x@y.example", None, True)}],
        "day": date(2026, 11, 21),
        "amounts": [Decimal("-1234567.89"), Decimal("4111111111111111"), 12, 10**15],
        "id": Ours("k1234567"),
    }
    assert json.loads(json.dumps(PLAIN.value(value))) == {
        "a": ["[card]", {"b": ["[email]", None, True]}],
        "day": "2026-11-21",
        "amounts": ["-1234567.89", "[number]", 12, "[number]"],
        "id": "k1234567",
    }
    with pytest.raises(TypeError):
        PLAIN.value(object())

"""The words of bank exports: what columns are called, and what their cells say.

Data only. Words are compared as `plain` leaves them: lower case, no accents, no digits, one space.
"""

import re
import unicodedata
from functools import lru_cache

from finora_core.kernel.currencies import DIGITS

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[^\W\d_]+")
_LETTERS = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "æ": "ae"})


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """`"Datum zaúčtování 2"` is `"datum zauctovani"`, `"txnDate"` is `"txn date"`."""
    spaced = _CAMEL.sub(" ", text[:500].translate(_LETTERS))
    letters = unicodedata.normalize("NFKD", spaced).casefold()
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(_WORD.findall(bare))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(name.split()) for name in text.split(",") if name.strip())


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Role -> names, the ones to be preferred first.
NAMES: dict[str, tuple[str, ...]] = {
    "date": _listed("""
        booking date, posting date, posted date, post date, date posted, date booked, booked on,
        posted on, booked, buchungstag, buchungsdatum, datum der buchung, buchung, boekdatum,
        boekingsdatum, datum boeking, date comptable, date de comptabilisation,
        date d operation, date operation, date de l operation, dateop,
        fecha operacion, fecha de operacion, fecha contable, f operacion, f contable,
        data contabile, data operazione, data di contabilizzazione, data registrazione,
        datum zauctovani, datum ucetni operace, datum provedeni, datum operace, datum pohybu,
        data ksiegowania, data operacji, data zaksiegowania, data movimento, data do movimento,
        data operacao, data da operacao, data mov, data lancamento, data de lancamento,
        bokforingsdag, bokforingsdatum, bokforingsdato, bokfort, bogforingsdato, bogfort,
        kirjauspaiva, kirjauspaivamaara, completed date, date completed, completed, date settled,
        settled date, settlement date, cleared date, date, datum, fecha, data, dato, pvm, paiva,
        paivamaara, transaction date, trans date, txn date, tran date, date of transaction,
        date transaction, transactiedatum, transaktionsdatum, umsatzdatum, transaktionsdag,
        date de transaction, fecha transaccion, data transakcji, data transacao, data transazione,
        datum transakce, transaksjonsdato, created, created at, created utc, created on,
        date created, timestamp, datetime, date time, time, belegdatum, kaufdatum, date d achat,
        purchase date, aankoopdatum, started date, date started, execution date, datum ausfuhrung,
        uitvoeringsdatum, date d execution, data esecuzione, fecha ejecucion, effective date,
        value date, date value, valuta, valutadatum, valutadato, valutadag, wertstellung,
        wertstellungsdatum, wert, datum valuty, rentedatum, date de valeur, date valeur, dateval,
        fecha valor, fecha de valor, f valor, data valuta, data valor, data waluty, interest date,
        rantedag, rentedato, arvopaiva, available on, available on utc"""),
    "amount": _listed("""
        net amount, amount net, net, netto, betrag netto, nettobetrag, waarde netto,
        amount, transaction amount, booked amount, billing amount, settlement amount, amt,
        account amount, amount account currency, amount in account currency, transaction value,
        betrag, buchungsbetrag, umsatz, umsatz in, transaktionsbetrag, betrag in,
        bedrag, transactiebedrag, bedrag bij af, mutatie, mutatiebedrag,
        montant, montant de l operation, montant operation, montant net,
        importe, importe movimiento, importe operacion, cantidad, monto, valor movimiento,
        importo, importo operazione, movimento importo, importo movimento,
        castka, zauctovana castka, objem, castka v mene uctu, castka transakce, suma,
        kwota, kwota operacji, kwota transakcji, kwota w walucie rachunku, kwota ksiegowania,
        montante, valor, valor do movimento, quantia, importancia,
        belopp, belop, belopp sek, insattning uttag, transaktionsbelopp, beloeb, beloep,
        maara, summa, value, sum, total, total amount, gross amount, gross, brutto,
        amount gross, original gross amt"""),
    "debit": _listed("""
        debit, debit amount, amount debit, debits, debit montant, money out, paid out, out,
        outflow, withdrawal, withdrawals, withdrawal amount, payment amount, spent, charge,
        charges, paid out amount, transaction debit, soll, lastschrift, belastung, ausgang,
        ausgabe, ausgaben, soll betrag, betrag soll, lastschriften, af, uit, uitgaven, debet,
        depense, depenses, debit euros, montant debit, retrait, cargo, cargos, gasto, debe,
        adeudo, retiro, retiros, egreso, egresos, dare, uscite, uscita, addebiti, addebito,
        vydaj, vydaje, odchozi, ma dati, na vrub, obciazenia, obciazenie, wydatek, wydatki,
        wyplata, debito, debitos, saida, saidas, despesa, uttag, ut, ut fra konto, utgift,
        utgifter, udgift, panot pois, otto"""),
    "credit": _listed("""
        credit, credit amount, amount credit, credits, money in, paid in, in, inflow, deposit,
        deposits, deposit amount, received, paid in amount, transaction credit, haben,
        gutschrift, eingang, einnahme, einnahmen, haben betrag, betrag haben, gutschriften, bij,
        ontvangen, inkomsten, montant credit, credit euros, recette, recettes, depot, abono,
        abonos, ingreso, ingresos, haber, deposito, depositos, avere, entrate, entrata, accrediti,
        accredito, prijem, prijmy, prichozi, dal, ve prospech, uznania, uznanie, wplyw, wplywy,
        wplata, credito, creditos, entrada, entradas, receita, insattning, inn pa konto,
        inn, inntekt, inntekter, indtaegt, pano"""),
    "indicator": _listed("""
        debit credit, credit debit, debit or credit, credit or debit, debit credit indicator,
        credit debit indicator, dc, cd, d c, c d, dr cr, cr dr, dc indicator, drcr, crdr, sign,
        soll haben, s h, h s, soll haben kennzeichen, kz, soll haben kz, debet credit, af bij,
        bij af, afbij, bijaf, debit credit flag, sens, sens de l operation, signe, signo,
        debe haber, dare avere, segno, d w, znak, smer, smer platby, strana, debito credito,
        transaction type, type, typ, richting, direction, tipo, transaction direction"""),
    "description": _listed("""
        description, transaction description, original description, details,
        transaction details, narrative, narration, memo, particulars, purpose, payment details,
        remittance information, remittance info, payment reference text, message, notes, note,
        notes and tags, comment, comments, text, information, additional information,
        item title, subject, message for payee, message for me, description memo,
        verwendungszweck, buchungstext, beschreibung, umsatztext, buchungsinformation, betreff,
        zahlungsgrund, mitteilung, notiz, bemerkung, kommentar, buchungsdetails,
        vorgang verwendungszweck, zweck, avisierungstext,
        omschrijving, mededeling, mededelingen, opmerking, opmerkingen, notities, toelichting,
        libelle, libelle de l operation, libelle operation, description de l operation, details
        de l operation, communication, communications, objet, motif, informations, detail,
        concepto, descripcion, observaciones, detalle, movimiento, mas datos,
        descrizione, causale, descrizione operazione, descrizione estesa, dettagli, motivo,
        operazione, note operazione,
        popis, zprava, zprava pro prijemce, poznamka, popis transakce, popis operace,
        opis, opis operacji, tytul, tytul operacji, opis transakcji, szczegoly, tytulem,
        tytul przelewu, descricao, descritivo, descricao do movimento, historico, lancamento,
        observacoes, beskrivning, beskrivelse, meddelande, meddelelse, referens text, rubrik,
        tekst, transaktionstext, forklaring, viesti, selite, selitys"""),
    "counterparty": _listed("""
        counterparty, counterparty name, counter party, counter party name, counteraccount name,
        counterpart, payee, payee name, payer payee, payer, beneficiary, beneficiary name,
        recipient, recipient name, merchant, merchant name, vendor, partner name, partner,
        to from, from to, name of counterparty, other party, other account name, name,
        empfanger, zahlungsempfanger, zahlungsempfanger in, beguenstigter zahlungspflichtiger,
        begunstigter zahlungspflichtiger, auftraggeber beguenstigter, auftraggeber begunstigter,
        auftraggeber empfanger, auftraggeber zahlungsempfanger, empfanger auftraggeber,
        auftraggeber, begunstigter, beguenstigter, partnername, name zahlungsbeteiligter,
        zahlungsbeteiligter, gegenpartei, handler, name des partners, zahlungspartner,
        empfanger zahlungspflichtiger, zahlungspflichtiger, name empfanger,
        beguenstigter auftraggeber, begunstigter auftraggeber, zahlungspflichtige r,
        naam tegenpartij, tegenpartij, naam, naam omschrijving, naam tegenrekening, begunstigde,
        naam van de tegenpartij, naam tegenpartij bevat, tegenpartij naam,
        beneficiaire, tiers, contrepartie, nom de la contrepartie, nom contrepartie, nom, emetteur,
        nom de la contrepartie contient, supplier found, emetteur beneficiaire, marchand,
        beneficiario, contraparte, ordenante, beneficiario ordenante, nombre, comercio, emisor,
        controparte, ordinante, ordinante beneficiario, esercente, nome controparte,
        nazev protiuctu, protistrana, nazev protistrany, jmeno protistrany, nazev prijemce,
        nazev obchodnika, obchodnik, prijemce,
        kontrahent, nadawca odbiorca, odbiorca nadawca, nazwa odbiorcy, dane kontrahenta, odbiorca,
        nazwa kontrahenta, nadawca, nazwa nadawcy, nome, destinatario, favorecido,
        mottagare, avsandare, motpart, namn, mottaker, modtager, navn, saaja maksaja, saaja,
        saajan nimi, maksaja"""),
    "currency": _listed("""
        currency, currency code, account currency, transaction currency, ccy, cur, curr,
        billing cur code, billing currency, settlement currency, wahrung, waehrung,
        kontowahrung, wahrung in, muntsoort, munt, valuta, valutasoort, devise, monnaie,
        devise du compte, divisa, moneda, divisa cuenta, moeda, mena, mena uctu, waluta,
        waluta rachunku, valuutta, currency primary, iso currency code, currency name"""),
    "category": _listed("""
        category, category name, categories, reporting category, spending category,
        transaction category, kategorie, kategorien, umsatzkategorie, hauptkategorie, categorie,
        rubriek, categorie operation, categoria, kategoria, kategori, kategorie transakce,
        luokka, type of expense, category group category"""),
    "bank_id": _listed("""
        transaction id, transactionid, txn id, transaction identifier, trans id, tx id, fitid,
        balance transaction id, bank transaction id, bank reference, bankreferenz, entry id,
        transaktions id, transaktionsid, transaktionsnummer, transactie id, transactie nummer,
        transactienummer, id transaction, id de transaction, identifiant transaction,
        id transaccion, numero de operacion, id transazione, id transakce, id operace,
        id pohybu, cislo transakce, id transakcji, numer transakcji, nr transakcji,
        id transacao, numero da transacao, transaktions id nummer, arkistointitunnus, id, uuid,
        transaction number, transaction no, transaction reference, transaction ref,
        transaction reference number, transactiereferentie, volgnr, volgnummer, bewegingsnummer,
        reference, reference number, ref, referenz, referenznummer, referentie,
        numero de reference, referencia, referenca, riferimento, referens, identificador,
        identifier, identifiant, buchungsreferenz, kenmerk, archivreferenz"""),
    "balance": _listed("""
        balance, running balance, account balance, balance after, balance after transaction,
        balance after booking, new balance, ledger balance, closing balance, balance amount,
        saldo, kontostand, saldo nach buchung, saldo nach umsatz, neuer saldo, saldo na trn,
        saldo na mutatie, saldo na boeking, saldo na transactie, eindsaldo, resultaat saldo,
        solde, solde apres operation, nouveau solde, saldo disponible, saldo contable,
        saldo contabile, saldo progressivo, zustatek, zustatek po operaci, zustatek na uctu,
        saldo po operacji, saldo po transakcji, saldo koncowe, saldo contabilistico,
        saldo efter, bokfort saldo, saldo efter transaktion, tilgjengelig saldo, saldo posle,
        disponibelt saldo"""),
    "account": _listed("""
        iban, account iban, iban account, iban auftragskonto, iban kontoinhaber, eigene iban,
        iban auftraggeberkonto, iban bban, own iban, my iban, iban rekening, iban compte,
        iban konto, account number, account no, account nr, account num, account, account id,
        acct, acct no, acct number, own account, my account, from account, auftragskonto,
        kontonummer, konto,
        konto nr, kontonr, auftraggeberkonto, eigenes konto, bezeichnung auftragskonto,
        rekening, rekeningnummer, eigen rekening, mijn rekening, numero de compte, compte,
        n compte, no de compte, accountnum, cuenta, numero de cuenta, numero cuenta, conto,
        numero conto, cislo uctu, ucet, vlastni ucet, numer rachunku, numer konta, rachunek,
        nr rachunku, moj rachunek, conta, numero da conta, n conta, clearingnummer kontonummer,
        kontonamn, account name, account label, accountlabel, compte libelle, rekeningnaam,
        kontobezeichnung, naam rekening, nazev uctu, tili, tilinumero, kortnummer, card number,
        card no, kartennummer, card, account key"""),
    "fee": _listed("""
        fee, fees, fee amount, total fees, charge amount, gebuhr, gebuhren, gebuehr, gebuehren,
        entgelt, kosten, frais, commission, comision, comisiones, commissione, commissioni,
        poplatek, poplatky, prowizja, oplata, comissao, taxa, avgift, avgifter, gebyr"""),
    "state": _listed("""
        status, state, transaction status, booking status, payment status, transaction state,
        buchungsstatus, umsatzstatus, statut, etat, estado, stato, stav, stav transakce, stan,
        situacao, status transakcji, status transakcije, tila"""),
}  # fmt: skip

# A name that is not in the table may still hold one of these words; only where nothing else does.
HINTS: dict[str, frozenset[str]] = {
    "date": _words("date datum fecha data dato paiva buchungstag dag day"),
    "amount": _words(
        "amount amt betrag bedrag montant importe importo castka kwota belopp belop montante umsatz"
    ),
    "balance": _words("balance saldo solde zustatek kontostand"),
}
# With one of these in its name a column is about something else than the account's own movement.
FOREIGN = _words("""
    original originalbetrag orig oorspr oorspronkelijk foreign fremd fremdwahrung fremdwaehrung
    local converted instructed exchange rate kurs koers cours cambio kurz kurzu puvodni fee fees
    tax gebuhr frais poplatek initial opening available disponible dispo origine auslandsbetrag
    zahlungswahrung ursprung ursprunglicher quote due limit cashback points reward min minimum
    tva vat mwst btw iva vreemde merchant counterparty start begin
""")

# With one of these in its name an account is the own one, not the payee's.
OWN = _words("""
    own my name label accountlabel kontonamn eigene eigenes eigen mijn moj vlastni from
    auftragskonto auftraggeberkonto kontoinhaber
""")
_ACCOUNT = re.compile("iban|konto|account|rekening|compte|cuenta|conto|uctu|rachun|tili")
_OTHER = re.compile(
    "tegen|gegen|counter|opposing|proti|contra|benef|begunst|payee|empf|partner|recipient|merchant"
    "|kontrahent|destin|ontvanger|mottag|modtag|saaja|other"
)


def is_others_account(name: str) -> bool:
    """Whether a column is called the account of the other side: `"Tegenrekening"`."""
    words = plain(name)
    return bool(_ACCOUNT.search(words) and _OTHER.search(words))


SUMMARY = _words("""
    total totals subtotal sum summe gesamt gesamtsumme saldo kontostand totaal eindsaldo
    beginsaldo balance solde anfangssaldo endsaldo schlusssaldo zwischensumme ubertrag totale
    totaux celkem zustatek razem suma podsumowanie summa saldi
""")
_SUMMARIES = _listed("""
    opening balance, closing balance, ending balance, beginning balance, starting balance,
    balance brought forward, balance carried forward, brought forward, carried forward,
    available balance, current balance, account balance, ledger balance, end of file,
    end of statement, neuer saldo, alter saldo, neuer kontostand, alter kontostand,
    saldo anterior, saldo final, saldo inicial, saldo iniziale, saldo finale,
    ancien solde, nouveau solde, solde initial, solde final, oud saldo, nieuw saldo,
    pocatecni zustatek, konecny zustatek, saldo poczatkowe, saldo koncowe,
    ingaende saldo, utgaende saldo, grand total, total amount""")  # fmt: skip


def is_summary(text: str) -> bool:
    """Whether a cell begins a row of totals: `"Total"`, `"Kontostand:"`, `"Closing balance"`."""
    words = plain(text)
    return words in SUMMARY or any(
        words == phrase or words.startswith(phrase + " ") for phrase in _SUMMARIES
    )


# (money out, money in), as an indicator column writes them.
INDICATORS: tuple[tuple[str, str], ...] = (
    ("debit", "credit"), ("debet", "credit"), ("debet", "kredit"), ("debit", "kredit"),
    ("d", "c"), ("d", "k"), ("db", "cr"), ("dr", "cr"), ("dbit", "crdt"), ("s", "h"),
    ("soll", "haben"), ("af", "bij"), ("uit", "in"), ("out", "in"), ("debito", "credito"),
    ("cargo", "abono"), ("debe", "haber"), ("dare", "avere"), ("outgoing", "incoming"),
    ("ausgang", "eingang"), ("ausgabe", "einnahme"), ("expense", "income"), ("odchozi", "prichozi"),
    ("vydaj", "prijem"), ("obciazenie", "uznanie"), ("uitgaand", "inkomend"),
    ("withdrawal", "deposit"), ("minus", "plus"), ("-", "+"), ("saida", "entrada"),
    ("uscita", "entrata"), ("uttag", "insattning"), ("debits", "credits"),
)  # fmt: skip

PENDING = _words("""
    pending vorgemerkt processing offen ausstehend reserviert reserved hold authorised
    authorized unbooked gereserveerd pendiente pendente sospeso cekajici blokace oczekujaca
    oczekujacy zaplanowana reserverad reservert unposted
""") | frozenset(
    _listed("""
    in process, in progress, in bearbeitung, nicht gebucht, in behandeling, en attente, a venir,
    in attesa, not posted, not booked, in verarbeitung, authorisation hold, pre authorised,
    da contabilizzare, en proceso, em processamento, ceka na zpracovani""")
)
DECLINED = _words("""
    declined reverted failed cancelled canceled denied rejected abgelehnt fehlgeschlagen
    abgebrochen geweigerd afgewezen geannuleerd mislukt refuse refusee echoue annule annulee
    rechazado rechazada cancelado cancelada anulado rifiutata rifiutato annullato annullata
    zamitnuto zrusena zamitnuta odrzucona odrzucony anulowana recusado recusada avvisad
    misslyckad expired voided void unsuccessful
""")

# Words before the header that say what the next cell, or the rest of this one, is.
ACCOUNT_LABELS = frozenset(NAMES["account"]) | frozenset(
    _listed("""girokonto, tagesgeldkonto, tagesgeld, account holder iban, konto iban, sparkonto,
    account number iban, kreditkarte, cuenta iban, current account, savings account""")
)
CURRENCY_LABELS = frozenset(NAMES["currency"])

_RANKS: dict[str, dict[str, int]] = {
    role: {name: rank for rank, name in reversed(list(enumerate(names)))}
    for role, names in NAMES.items()
}
HINTED = 10_000  # the rank of a role that only a word in the name suggests


def currency_in(name: str) -> str | None:
    """The currency a column names: `"Betrag (EUR)"`, `"Amount CZK"`."""
    return next((code for code in re.findall(r"\b[A-Z]{3}\b", name) if code in DIGITS), None)


@lru_cache(maxsize=4096)
def roles_of(name: str) -> dict[str, int]:
    """What a column called `name` may be: role -> rank, the lower the surer."""
    words = plain(name)
    found = {role: ranks[words] for role, ranks in _RANKS.items() if words in ranks}
    if found:
        return found
    code = currency_in(name)
    if code and (rest := " ".join(word for word in words.split() if word != code.lower())) != words:
        found = {role: ranks[rest] for role, ranks in _RANKS.items() if rest in ranks}
    if found:
        return found
    held = set(words.split())
    if held & FOREIGN:
        return {}
    return {role: HINTED for role, hints in HINTS.items() if held & hints}


def words_of_cell(cell: str) -> str:
    """A cell's words, or its sign where it has no letter."""
    return plain(cell) or cell.strip()

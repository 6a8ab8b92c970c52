"""How long the pages take in a browser, with many records in the books.

    python benchmarks/pages.py --records 100000
    python benchmarks/pages.py --records 20000 --pictures FOLDER

The purchases of the card files of ../shared/data/categorise are imported as the ten years before
today, get categories by rules and likeness, and a queue is left to review; there are budgets, goals
and rules. Then headless Chromium opens each page in turn from the server and worker that are
running beside it. `first` is from asking to the first byte, `loaded` to the load event; medians. A
limit of the first byte is that of the page's screen in http.py, or of its figures in the issue of
reports (P&L of a year 300 ms, preview of a rule 1 s, which `rule` does for each letter that is
typed); loaded may take a second. With `--pictures` each page is kept as a picture: with all these
records and without any, light and dark, wide and narrow.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import attrs
from common import LAST_DAY, cards, finish, free_port, show, workplace, write_csv
from playwright.sync_api import Browser, Page, sync_playwright

from finora import Finora, ImportRequest, Scope, Settings
from finora_core.categories.rules.actions import actions_of
from finora_core.categories.rules.conditions import condition_of
from finora_core.categories.rules.model import Rule
from finora_core.insights.budgets.model import Rollover
from finora_core.insights.goals.model import Share
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import currency
from finora_core.kernel.ids import new_id

EUR = currency("EUR")
TODAY = date.today()  # noqa: DTZ011  # any day near today does
LOADED_MS = 1_000.0
PAGES = {
    "dashboard": ("/", 300.0),
    "records": ("/records", 150.0),
    "category": ("/records?category=Food", 150.0),
    "review": ("/review", 150.0),
    "rules": ("/rules", 150.0),
    "rule": ("/rules/{rule}", 1_000.0),
    "budgets": ("/budgets", 150.0),
    "goals": ("/goals", 150.0),
    "recurring": ("/recurring", 300.0),
    "forecast": ("/forecast", 300.0),
    "profit and loss": (f"/reports?since={TODAY.year - 1}-01-01&until={TODAY.year - 1}-12-31", 300),
    "balance sheet": ("/reports?kind=balance_sheet", 300.0),
    "cash flow": ("/reports?kind=cash_flow", 300.0),
    "explain": ("/explain?asset=EUR&direction=out", 200.0),
}
"""Path, and milliseconds in which the first byte is there."""
RULES = {
    "tesco": "Food:Groceries", "sainsbury": "Food:Groceries", "asda": "Food:Groceries",
    "shell": "Travel:Fuel", "esso": "Travel:Fuel", "bp ": "Travel:Fuel", "train": "Travel:Rail",
    "hotel": "Travel:Hotel", "post office": "Office:Post", "argos": "Household",
    "boots": "Health", "premier inn": "Travel:Hotel", "subway": "Food:Out", "costa": "Food:Out",
}  # fmt: skip
TIMES = """() => { const [at] = performance.getEntriesByType("navigation");
  return [at.responseStart - at.startTime, at.loadEventEnd - at.startTime]; }"""


def filled(finora: Finora, folder: Path, records: int) -> tuple[Scope, Rule]:
    """Books with so many records, some of which wait for a person."""
    scope = finora.scope(tenant="full", user="bench")
    rules = [
        Rule(
            id=new_id(), name=word, priority=place,
            condition=condition_of({"field": "description", "op": "contains", "value": word}),
            actions=actions_of([{"op": "set", "field": "category", "value": category}]),
        )
        for place, (word, category) in enumerate(RULES.items())
    ]  # fmt: skip
    finora.rules.add_all(scope, rules)
    path = folder / "cards.csv"
    shift = TODAY - LAST_DAY
    write_csv(path, (attrs.evolve(each, day=each.day + shift) for each in cards(records)))
    finora.import_file(scope, path, ImportRequest(account="Card", currency="EUR"))
    finora.run_jobs()
    account = finora.ledger.accounts(scope)[0].id
    for category in sorted({each.split(":")[0] for each in RULES.values()}):
        limit = Amount.parse("2500.00", EUR)
        finora.budgets.create(scope, category, category, limit, rollover=Rollover.SURPLUS)
    for name, target in (("Reserve", "50000.00"), ("New desks", "4000.00")):
        finora.goals.create(
            scope, name, Amount.parse(target, EUR), shares=(Share(account, 30),),
            by=TODAY + timedelta(days=400),
        )  # fmt: skip
    return scope, rules[0]


@contextmanager
def served(data: Path, port: int) -> Iterator[str]:
    command = (sys.executable, "-m", "finora", "up", "--data", str(data), "--port", str(port))
    environment = os.environ | {"FINORA_RATE_LIMITS": "all=1000000/60"}
    running = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(1)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(60)


def signed_in(browser: Browser, origin: str, token: str, width: int, scheme: str) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    context.set_default_timeout(120_000)
    page = context.new_page()
    for _ in range(120):
        try:
            page.goto(f"{origin}/?token={token}")
            return page
        except Exception as error:
            if "ERR_CONNECTION_REFUSED" not in str(error):
                raise
            time.sleep(0.5)
    raise SystemExit("the server does not come up")


def measured(page: Page, origin: str, rule: Rule, repeat: int) -> dict[str, tuple[float, float]]:
    found = {}
    for name, (path, _) in PAGES.items():
        times = []
        for _ in range(repeat + 1):
            answer = page.goto(origin + path.format(rule=rule.id), wait_until="load")
            if answer is None or answer.status != 200:
                raise SystemExit(f"{path}: {answer and answer.status}")
            times.append(page.evaluate(TIMES))
        # The first one fills what is kept in memory.
        first, loaded = zip(*times[1:], strict=True)
        found[name] = statistics.median(first), statistics.median(loaded)
    return found


def pictures(browser: Browser, origin: str, who: dict[str, str], rule: Rule, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for books, token in who.items():
        for width, scheme in ((1400, "light"), (1400, "dark"), (390, "light"), (390, "dark")):
            page = signed_in(browser, origin, token, width, scheme)
            for name, (path, _) in PAGES.items():
                if books == "empty" and "{rule}" in path:
                    path = "/rules/new"
                page.goto(origin + path.format(rule=rule.id), wait_until="networkidle")
                file = f"{books}-{name.replace(' ', '-')}-{width}-{scheme}.png"
                page.screenshot(path=into / file, full_page=books == "empty")
            page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000, help="in the books (100,000)")
    parser.add_argument("--repeat", type=int, default=5, help="openings of each page (5)")
    parser.add_argument("--pictures", type=Path, help="keep a picture of each page there")
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("this needs Chromium")
    with workplace() as folder:
        data = folder / "data"
        with Finora.open(Settings(data=data)) as finora:
            scope, rule = filled(finora, folder, asked.records)
            empty = finora.scope(tenant="empty", user="bench")
            who = {
                name: finora.tokens.create(each, "bench").text
                for name, each in (("full", scope), ("empty", empty))
            }
            waiting = len(finora.review.queue(scope, limit=1_000).items)
        with served(data, free_port()) as origin, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            page = signed_in(browser, origin, who["full"], 1400, "light")
            found = measured(page, origin, rule, asked.repeat)
            if asked.pictures is not None:
                pictures(browser, origin, who, rule, asked.pictures)
            browser.close()
    show(
        ("page", "first ms", "limit", "of limit", "loaded ms", "limit", "of limit"),
        [
            (name, first, PAGES[name][1], first / PAGES[name][1],
             loaded, LOADED_MS, loaded / LOADED_MS)
            for name, (first, loaded) in found.items()
        ],
    )  # fmt: skip
    slow = [
        name for name, (first, loaded) in found.items()
        if first > PAGES[name][1] or loaded > max(LOADED_MS, PAGES[name][1])
    ]  # fmt: skip
    print(f"{waiting} or more records wait in the queue")
    finish(
        records=asked.records,
        first_ratio_to_limit=max(first / PAGES[name][1] for name, (first, _) in found.items()),
        loaded_ms=max(loaded for _, loaded in found.values()),
        slow="; ".join(slow),
    )


if __name__ == "__main__":
    main()

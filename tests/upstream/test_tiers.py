"""In which tier sources are asked: two settings say so, and nothing else is another."""

import threading
from datetime import date
from typing import Any

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner
from werkzeug.serving import make_server

from finora import Finora, Scope, Settings
from finora.cli import app as command
from finora_adapters.compose import Opened
from finora_adapters.plugins import load_plugins
from finora_adapters.upstream.sources import Sources, sources_of
from finora_core.kernel.clock import SystemClock
from finora_core.kernel.outcome import Ok, Outcome
from finora_web.main import CLOSING, build


def rates_of(sources: Sources) -> Outcome[Any]:
    days = date(2026, 11, 19), date(2026, 11, 20)
    return sources.by_kind["rates"]["frankfurter"].rates("EUR", ["USD"], *days)


@pytest.mark.spec("S0-3")
def test_two_settings_choose_the_tier_and_nothing_else_is_another(
    here: Settings, opened: Opened, finora: Finora, scope: Scope, upstream: HTTPServer
) -> None:
    """A data provider on this machine, a hosted one, and a whole installation that is hosted: the
    same code asks and answers, and what is said has the same shape."""
    assert "8082" in CliRunner().invoke(command, ["data-provider", "--help"]).output
    key = finora.tokens.create(scope, "ours", permissions=frozenset({"data:ask"})).text
    plain = Settings(env="test")
    said, shapes = [], []
    for tags in (("sources",), None):
        app = build(here, opened, tags=tags)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            ours = Settings(env="test", data_url=f"http://127.0.0.1:{server.server_port}",
                            data_key=SecretStr(key))  # fmt: skip
            assert {name for name, value in ours if value != getattr(plain, name)} == {
                "data_url", "data_key",
            }  # fmt: skip
            there = sources_of(ours, load_plugins(), SystemClock())
            said.append(rates_of(there))
            listed = app.test_client().get(
                "/api/v1/sources", headers={"Authorization": f"Bearer {key}"}
            )
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            app.extensions[CLOSING]()
        routes = {(rule.rule, *sorted(rule.methods or ())) for rule in app.url_map.iter_rules()
                  if rule.rule.startswith("/api/v1/sources")}  # fmt: skip
        shapes.append((listed.json, routes))
    # And with neither of the two: this process asks the sources itself.
    itself = sources_of(here, load_plugins(), SystemClock())
    said.append(rates_of(itself))
    assert isinstance(said[0], Ok) and said[0] == said[1] == said[2]
    assert shapes[0] == shapes[1]
    assert shapes[0][0]["success"] is True and len(shapes[0][1]) >= 7

"""Clients that are generated from the document a running server gives, and one story that each of
them tells it: every operation, its reply in the generated types, its refusals in theirs."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import attrs
import pytest
from pytest_httpserver import HTTPServer

from clients.host import ACTS, Host, hosting
from clients.python import PACKAGE, Generated, Python
from clients.story import Ask, BadStory, Document, missing, read_story
from clients.tools import HERE, away, install_node, install_python, ran, run
from clients.typescript import TypeScript
from finora import Finora, Settings
from finora_core.identity.roles import TENANT
from finora_web import openapi
from finora_web.api.table import ENDPOINTS
from serving import Served

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def served(
    settings: Settings, finora: Finora, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Its sources are a server that has nothing of what it is asked for."""
    folder = tmp_path_factory.mktemp("served")
    with HTTPServer(threaded=True) as nowhere:
        nowhere.expect_request(re.compile(".*")).respond_with_data("", 404)
        url = nowhere.url_for("").rstrip("/")
        sources = {
            f"plugin_{name}_url": url for name in ("coingecko", "yahoo", "bitcoin", "frankfurter")
        }
        served = Served(settings.data, folder, password_memory_kib=64, password_rounds=1, **sources)
        yield served.ready()
        served.kill()


@pytest.fixture(scope="module")
def document(served: Served) -> Document:
    return Document(json.loads(served.ask("GET", "/openapi.json")[1]))


@attrs.frozen
class Surroundings:
    """Where one client tells the story: a tenant of its own."""

    server: str
    host: str
    token: str


@pytest.fixture
def around(served: Served, finora: Finora) -> Iterator[Surroundings]:
    scope = finora.scope(tenant=f"t-{uuid4()}", user="u1")
    token = finora.tokens.create(scope, "story", permissions=TENANT).text
    with hosting(Host(finora, scope)) as host:
        yield Surroundings(f"http://127.0.0.1:{served.port}", host, token)


# --- the story -----------------------------------------------------------------------------------


def test_the_story_has_every_operation() -> None:
    document = Document(openapi.document(ENDPOINTS, "0"))
    assert set(document.operations) == {endpoint.name for endpoint in ENDPOINTS}
    lines = missing(document, read_story(document))
    assert not lines, (
        "tests/clients/story.json calls some operations never, or never well. Add a line for each "
        "where the story has what it needs (story.py says what a line may hold):\n"
        + "\n".join(f"  {line}," for line in lines)
    )


def test_the_story_asks_the_host_for_what_it_does() -> None:
    document = Document(openapi.document(ENDPOINTS, "0"))
    asked = {each.act for each in read_story(document) if isinstance(each, Ask)}
    assert asked == set(ACTS)


BAD = {
    "an operation that is not": ({"call": "no_such"}, "no such operation"),
    "a word that means nothing": ({"call": "list_accounts", "query": {}}, r"\['query'\] mean"),
    "a parameter that it does not take": (
        {"call": "list_accounts", "with": {"x": 1}},
        r"takes no \['x'\]",
    ),
    "no id": ({"call": "get_file"}, "needs 'file_id'; save one"),
    "no body": ({"call": "open_account"}, "say its `body`"),
    "a body too many": ({"call": "list_accounts", "body": {}}, "say its `body`"),
    "no file": ({"call": "keep_file", "with": {"name": "a.png"}}, "say its `body`"),
    "something never saved": ({"call": "list_accounts", "as": "$x"}, "saved as 'x'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_line_that_cannot_be_told_says_why(name: str) -> None:
    line, said = BAD[name]
    with pytest.raises(BadStory, match=said):
        read_story(Document(openapi.document(ENDPOINTS, "0")), [line])


def test_a_new_operation_is_missed_with_the_line_to_add() -> None:
    document = Document(openapi.document(ENDPOINTS, "0"))
    told = read_story(document)
    for name, line in {
        "list_jobs": {"call": "list_jobs"},
        "wallet_cashflow": {"call": "wallet_cashflow", "with": {"since": "...", "until": "..."}},
        "announce_file": {"call": "announce_file", "body": {"name": "...", "size": "..."}},
        "keep_file": {"call": "keep_file", "with": {"name": "..."}, "file": "..."},
    }.items():
        others = [each for each in told if isinstance(each, Ask) or each.operation.name != name]
        assert [json.loads(each) for each in missing(document, others)] == [line]


# --- TypeScript ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory, served: Served) -> Path:
    """A folder with the compiler and the types made from the server's document."""
    folder = tmp_path_factory.mktemp("typescript")
    tools = install_node(folder)
    document = f"http://127.0.0.1:{served.port}/openapi.json"
    # What has a default need not be said; the generator would have it so.
    run([tools / "openapi-typescript", document, "--default-non-nullable=false",
         "-o", "finora.d.ts"], folder)  # fmt: skip
    return folder


@pytest.mark.spec("S0-71", partial=True)
def test_a_typescript_client_tells_the_story(
    typescript: Path, document: Document, around: Surroundings
) -> None:
    told = read_story(document)
    program = TypeScript(document).program(told, **attrs.asdict(around))
    (typescript / "story.ts").write_text(program)
    run([typescript / "node_modules/.bin/tsc", "-p", "."], typescript)
    assert run(["node", "story.js"], typescript) == f"told {len(told)}\n"


# --- Python --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, served: Served) -> Path:
    """A folder with an environment and the package made from the server's document. The generator
    finds nothing that it does not understand."""
    folder = tmp_path_factory.mktemp("python")
    python = install_python(folder)
    document = f"http://127.0.0.1:{served.port}/openapi.json"
    run([python, "-m", "openapi_python_client", "generate", "--url", document, "--meta", "none",
         "--output-path", PACKAGE, "--config", HERE / "python.yml", "--fail-on-warning"],
        folder, PATH=f"{folder}/env/bin")  # fmt: skip
    return folder


@pytest.mark.spec("S0-71", partial=True)
def test_a_python_client_tells_the_story(
    python: Path, document: Document, around: Surroundings
) -> None:
    told = read_story(document)
    writer = Python(document, Generated.read(python / PACKAGE))
    (python / "story.py").write_text(writer.program(told, **attrs.asdict(around)))
    interpreter = python / "env/bin/python"
    # What the generator wrote is its own affair; what we say with it is checked strictly.
    strict = ("--strict", "--follow-imports=silent", "--python-executable", interpreter)
    run([sys.executable, "-m", "mypy", *strict, "story.py"], python)
    assert run([interpreter, "story.py"], python) == f"told {len(told)}\n"


# --- docs/clients.md -----------------------------------------------------------------------------

PAGE = (HERE.parents[1] / "docs/clients.md").read_text()


def blocks(*languages: str) -> list[str]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)
    return [block for language, block in found if language in languages]


def test_the_page_names_the_versions_that_are_tested() -> None:
    package = json.loads((HERE / "package.json").read_text())
    wanted = {f"{name}@{version}" for kind in ("dependencies", "devDependencies")
              for name, version in package[kind].items()}  # fmt: skip
    wanted |= set((HERE / "requirements.txt").read_text().split())
    named = re.findall(r"(?:@?[\w/-]+@|[\w-]+==)\d[\w.]*", "".join(blocks("sh")))
    assert set(named) == wanted


@pytest.mark.spec("S0-71", partial=True)
def test_the_page_makes_both_clients_as_it_stands(
    served: Served, settings: Settings, tmp_path: Path
) -> None:
    """All of its commands, in their order, with the programs that it shows."""
    for tool in ("bash", "node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} is installed")
    here = "http://127.0.0.1:4000"
    for block in blocks("ts", "python"):
        name = re.match(r"(?://|#) (client\.\w+)\n", block)
        assert name
        (tmp_path / name[1]).write_text(block.replace(here, f"http://127.0.0.1:{served.port}"))
    commands = "".join(blocks("sh")).replace(here, f"http://127.0.0.1:{served.port}")
    assert commands.count(str(served.port)) == 2
    (tmp_path / "page.sh").write_text(f"set -euo pipefail\n{commands}")
    # The one command of ours; whatever else runs there sees nothing of this tree.
    ours = tmp_path / "bin/finora"
    ours.parent.mkdir()
    path = shlex.quote(os.pathsep.join(sys.path))
    ours.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {sys.executable} -m finora "$@"\n')
    ours.chmod(0o755)
    places = (ours.parent, Path(sys.executable).parent, os.environ["PATH"])
    more = {"FINORA_DATA": str(settings.data), "PATH": os.pathsep.join(map(str, places))}
    status, said = ran(["bash", "page.sh"], tmp_path, more)
    if status and away(said):
        pytest.skip("the registries cannot be asked: no network")
    assert status == 0, said
    assert said.count("2026-01-30 -4.50") == 2
    assert said.count("409 ACCOUNT_EXISTS") == 2
    assert len(re.findall(r"^[0-9a-f-]{36} asset$", said, re.M)) == 2

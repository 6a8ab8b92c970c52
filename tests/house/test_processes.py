"""What a process does, and what it leaves to another."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from house.rules import imported

SRC = Path(__file__).parents[2] / "src"

WAYS_OUT = {
    # To providers, models and issuers of identities: through one client, with its limits and its
    # allow-list, or to the data provider.
    "finora_adapters/upstream/wire.py": {"httpx2"},
    # To what the operator runs or rents: letters and files.
    "finora_adapters/mail/jmap.py": {"httpx2"},
    "finora_adapters/mail/smtp.py": {"smtplib"},
    "finora_adapters/storage/s3.py": {"boto3", "botocore"},
    # `finora up` asks its own API whether it answers.
    "finora/commands/serving.py": {"urllib.request"},
}
CLIENTS = {
    "aiohttp", "boto3", "botocore", "ftplib", "grpc", "http", "httpx", "httpx2", "imaplib",
    "requests", "smtplib", "urllib3", "websocket", "websockets", "xmlrpc",
}  # fmt: skip


def modules(*parts: str) -> Iterator[tuple[str, set[str]]]:
    """Path of each file below `parts`, and what it imports, wherever the import stands."""
    for part in parts:
        for path in sorted((SRC / part).rglob("*.py")):
            found = {name for _, name in imported(ast.parse(path.read_text()))}
            yield path.relative_to(SRC).as_posix(), found


@pytest.mark.spec("S0-2")
def test_only_named_files_open_a_way_out() -> None:
    seen = {}
    for path, names in modules("finora", "finora_adapters", "finora_core", "finora_web",
                               "finora_worker"):  # fmt: skip
        clients = {name.partition(".")[0] for name in names} & CLIENTS
        clients |= names & {"urllib.request"}
        if clients and not path.startswith("finora_core/testing/"):
            seen[path] = clients
    assert seen == WAYS_OUT


@pytest.mark.spec("S0-1")
def test_the_api_has_no_part_that_runs_jobs() -> None:
    """A worker beside it, where one is asked for, is another process (tests/web/test_kills.py)."""
    for path, names in modules("finora_web"):
        assert not any(name.startswith("finora_worker") for name in names), path
        assert "JobRunner" not in (SRC / path).read_text(), path

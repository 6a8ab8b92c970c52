"""A data folder of a test's own, opened with whatever keys: keys are of a whole database, and those
of the other tests are not to be moved."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import psycopg
from pydantic import SecretStr

from finora import Finora, Settings
from finora_adapters.embedded import Engines


def key(version: int) -> str:
    """A new key of that version, as the setting has it."""
    return f"{version}:{secrets.token_hex(32)}"


@attrs.frozen
class OwnData:
    engines: Engines

    @property
    def folder(self) -> Path:
        return self.engines.data

    def settings(self, *keys: str) -> Settings:
        """With these keys, the newest first, or with the folder's own."""
        given = SecretStr(",".join(keys)) if keys else None
        return Settings(data=self.folder, env="test", secret_keys=given, pool_size=16)

    def open(self, *keys: str) -> Finora:
        return Finora.open(self.settings(*keys))

    @contextmanager
    def admin(self) -> "Iterator[psycopg.Connection[Any]]":
        """The superuser, who sees and changes every row."""
        with psycopg.connect(self.engines.admin_dsn) as connection:
            yield connection

    def sql(self, statement: Any, *values: object) -> list[Any]:
        with self.admin() as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def start(
        self, *arguments: str, keys: Sequence[str] = (), log: Path | None = None, **more: str
    ) -> "subprocess.Popen[str]":
        """`finora` in a process of its own."""
        env = {name: value for name, value in os.environ.items() if "FINORA_" not in name}
        env |= {"FINORA_DATA": str(self.folder), "FINORA_ENV": "test"}
        env |= {"FINORA_RATE_LIMITS": "all=1000000/60", **more}
        if keys:
            env["FINORA_SECRET_KEYS"] = ",".join(keys)
        to: Any = log.open("w") if log else subprocess.PIPE
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "finora", *arguments],
                env=env,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=to,
                stderr=to,
            )
        finally:
            if log:
                to.close()

    def run(self, *arguments: str, keys: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, keys=keys)
        out, err = process.communicate(timeout=100)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

"""The one settings model, and the only place that reads the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from finora_core.kernel.errors import Invalid

PREFIX = "FINORA_"
PLUGIN_PREFIX = "FINORA_PLUGIN_"


class BadSettings(Invalid):
    """The settings are wrong; `details` names every one that is, with the reason."""

    code = "BAD_SETTINGS"


def _home() -> Path:
    root = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(root).expanduser() / "finora"


class Settings(BaseModel):
    """Every setting has a default that works on a laptop; `FINORA_ENV=production` refuses those
    defaults that would be wrong there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: Literal["development", "test", "production"] = Field(
        "development", description="Where this runs; production refuses every laptop default."
    )
    data: Path = Field(
        default_factory=_home,
        description="Folder of the embedded servers and of stored files.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="Postgres to use in place of the embedded one: "
        "postgresql://user:password@host/database.",
    )
    database_direct_url: SecretStr | None = Field(
        None,
        description="The same database past a transaction pooler, for migrations and LISTEN; "
        "its user owns the schema.",
    )
    postgres_bin: Path | None = Field(
        None, description="Folder of installed Postgres binaries, in place of the packaged ones."
    )
    pool_size: int = Field(8, ge=1, le=200, description="Most database connections of one process.")
    pool_wait_s: int = Field(
        5, ge=1, le=60, description="Seconds to wait for a free connection before refusing."
    )
    statement_limit_s: int = Field(
        30, ge=1, le=600, description="Seconds that one statement of a request may take."
    )
    job_limit_s: int = Field(
        1800, ge=10, le=86_400, description="Seconds that one statement of a job may take."
    )
    lock_limit_s: int = Field(
        10, ge=1, le=120, description="Seconds to wait for another transaction's lock."
    )
    import_max_lines: int = Field(
        2_000_000, ge=1, le=20_000_000, description="Most lines of one imported file."
    )
    import_max_mb: int = Field(
        1_024, ge=1, le=16_384, description="Largest imported file, in megabytes."
    )
    storage_directory: Path | None = Field(
        None, description="Folder of stored files, if not inside the data folder."
    )

    @property
    def files(self) -> Path:
        return self.storage_directory or self.data / "files"


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of `FINORA_*` variables (the process's, if none are given).

    Raises BadSettings that lists every problem at once, an unknown name among them.
    """
    found = os.environ if environment is None else environment
    values: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in found.items()
        if name.startswith(PREFIX) and not name.startswith(PLUGIN_PREFIX)
    }
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        wrong = [
            (PREFIX + str(each["loc"][0]).upper(), _said(each["type"], each["msg"]))
            for each in error.errors()
        ]
        missing = production_problems(Settings.model_construct(**values))
        raise refusal((*wrong, *missing)) from error
    check_production(settings)
    return settings


def check_production(settings: Settings) -> None:
    """Raise BadSettings where production would run with a laptop's defaults."""
    missing = production_problems(settings)
    if missing:
        raise refusal(tuple(missing))


def production_problems(settings: Settings) -> list[tuple[str, str]]:
    """The laptop defaults that production must not run with."""
    problems: list[tuple[str, str]] = []
    if settings.env != "production":
        return problems
    if settings.database_url is None:
        problems.append(
            ("FINORA_DATABASE_URL", "set it: the embedded Postgres is not for production")
        )
    if settings.storage_directory is None:
        problems.append(("FINORA_STORAGE_DIRECTORY", "set it to a folder that is backed up"))
    return problems


def refusal(wrong: tuple[tuple[str, str], ...]) -> BadSettings:
    said = "; ".join(f"{name}: {reason}" for name, reason in wrong)
    return BadSettings(f"{len(wrong)} settings are wrong: {said}", details=wrong)


def _said(kind: str, message: str) -> str:
    return "there is no such setting" if kind == "extra_forbidden" else message

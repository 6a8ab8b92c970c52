"""The one settings model, and the only place that reads the environment."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

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
    redis_url: SecretStr | None = Field(
        None,
        description="Redis or Valkey to use in place of the embedded one: redis://host:6379/0. "
        "It must not evict (maxmemory-policy noeviction).",
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
    queues: str = Field(
        "records:ingest=2,schedules=1,default=4",
        description="Queues that a worker serves, each with how many jobs it runs at once.",
    )
    drain_s: int = Field(
        20, ge=1, le=600, description="Seconds that a stopping process gives to what it does."
    )
    http_host: str = Field("127.0.0.1", description="Address that the API listens on.")
    http_port: int = Field(4000, ge=1, le=65_535, description="Port that the API listens on.")
    http_processes: int = Field(2, ge=1, le=64, description="Processes that serve the API.")
    http_threads: int = Field(8, ge=1, le=200, description="Threads of each of them.")
    http_body_kb: int = Field(
        64, ge=1, le=10_240, description="Largest JSON body of a request, in kilobytes."
    )
    http_origins: str = Field(
        "", description="Origins of other sites whose pages may call the API, with commas between."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level of what is logged."
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
    storage_s3_bucket: str | None = Field(
        None, min_length=3, max_length=63, description="S3 bucket of stored files, not a folder."
    )
    storage_s3_endpoint: str | None = Field(
        None,
        pattern="^https?://[^/]+",
        description="URL of a store that speaks like S3, if it is not Amazon's.",
    )
    storage_s3_region: str | None = Field(None, description="Region of the bucket.")
    storage_s3_key: str | None = Field(
        None, description="Access key of the bucket; unset, the machine's own credentials are used."
    )
    storage_s3_secret: SecretStr | None = Field(None, description="Secret of the access key.")
    file_max_mb: int = Field(
        8, ge=1, le=1_024, description="Largest file that is uploaded, in megabytes."
    )

    anchor_key: SecretStr | None = Field(
        None,
        description="Seed of the Ed25519 key that signs the audit log's anchors, 64 hexadecimal "
        "digits; a laptop makes one in its data folder.",
    )
    anchor_public_keys: str = Field(
        "",
        description="Public keys of earlier anchors, each 64 hexadecimal digits, with commas "
        "between.",
    )
    jobs_hmac_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="Secret of at least 32 characters that signs operators' calls of /admin; "
        "unset, they are off.",
    )

    @field_validator("anchor_key")
    @classmethod
    def _seed(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _key(value.get_secret_value())
        return value

    @field_validator("anchor_public_keys")
    @classmethod
    def _keys(cls, value: str) -> str:
        for each in filter(None, value.split(",")):
            _key(each.strip())
        return value

    @field_validator("queues")
    @classmethod
    def _well_formed(cls, value: str) -> str:
        sizes(value)
        return value

    @property
    def queue_sizes(self) -> dict[str, int]:
        return sizes(self.queues)

    @property
    def files(self) -> Path:
        return self.storage_directory or self.data / "files"


def _key(text: str) -> None:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ValueError("a key of Ed25519 is written as 64 hexadecimal digits")


def sizes(text: str) -> dict[str, int]:
    """`"a=2,b:c=1"` as a dictionary; raises ValueError."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, size = part.strip().rpartition("=")
        if not name or name in found or not size.isdecimal() or not 1 <= int(size) <= 200:
            raise ValueError("queues are written name=size,name=size, each size 1 to 200")
        found[name] = int(size)
    return found


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
    """Raise BadSettings where production would run with a laptop's defaults, or nothing would."""
    missing = storage_problems(settings) + production_problems(settings)
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
    if settings.redis_url is None:
        problems.append(("FINORA_REDIS_URL", "set it: the embedded Valkey is not for production"))
    if settings.storage_directory is None and settings.storage_s3_bucket is None:
        said = "set it to a folder that is backed up, or FINORA_STORAGE_S3_BUCKET"
        problems.append(("FINORA_STORAGE_DIRECTORY", said))
    return problems


def storage_problems(settings: Settings) -> list[tuple[str, str]]:
    """What of the settings of stored files does not go together."""
    problems: list[tuple[str, str]] = []
    bucket, key, secret = (
        getattr(settings, f"storage_s3_{name}") is not None for name in ("bucket", "key", "secret")
    )
    if bucket and settings.storage_directory is not None:
        problems.append(("FINORA_STORAGE_S3_BUCKET", "unset it or FINORA_STORAGE_DIRECTORY"))
    if key != secret:
        unset = "SECRET" if key else "KEY"
        problems.append((f"FINORA_STORAGE_S3_{unset}", "set key and secret, or neither"))
    for name in ("endpoint", "region", "key"):
        if getattr(settings, f"storage_s3_{name}") is not None and not bucket:
            said = "set FINORA_STORAGE_S3_BUCKET too"
            problems.append((f"FINORA_STORAGE_S3_{name.upper()}", said))
    return problems


def refusal(wrong: tuple[tuple[str, str], ...]) -> BadSettings:
    said = "; ".join(f"{name}: {reason}" for name, reason in wrong)
    return BadSettings(f"{len(wrong)} settings are wrong: {said}", details=wrong)


def _said(kind: str, message: str) -> str:
    return "there is no such setting" if kind == "extra_forbidden" else message

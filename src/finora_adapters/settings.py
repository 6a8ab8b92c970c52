"""The one settings model, and the only place that reads the environment."""

import os
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from finora_adapters.auth.urls import is_loopback, is_safe
from finora_adapters.mail.server import SmtpServer, check_jmap
from finora_adapters.plugins import installed, manifest_of
from finora_core.kernel.errors import Invalid
from finora_core.mail.model import BadAddress, MailAddress, Sender
from finora_core.manifest import BadManifest
from finora_core.market.provision.model import BadQuota, window_of

PREFIX = "FINORA_"
PLUGIN_PREFIX = "FINORA_PLUGIN_"
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_KEY = re.compile(r"[0-9a-fA-F]{64}")


class BadSettings(Invalid):
    """The settings are wrong; `details` names every one that is, with the reason."""

    code = "BAD_SETTINGS"


def _home() -> Path:
    root = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(root).expanduser() / "finora"


# In KiB times passes: what OWASP calls the least, whichever of its pairs is taken.
_LEAST_COST = 35 * 1024
_KNOWN_ISSUERS = {"google": "https://accounts.google.com"}


class OidcClient(BaseModel):
    """What an issuer of OpenID Connect knows this installation as."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    client_id: str = Field(min_length=1, max_length=500)
    client_secret: SecretStr | None = None
    issuer: str = ""

    @field_validator("issuer")
    @classmethod
    def _askable(cls, value: str) -> str:
        if value and not (is_safe(value, loopback=True) and "?" not in value):
            raise ValueError("an issuer is an https URL")
        return value


_CLIENTS = TypeAdapter(tuple[OidcClient, ...])


class Settings(BaseModel):
    """Every setting has a default that works on a laptop; `FINORA_ENV=production` refuses those
    defaults that would be wrong there."""

    # What is wrong may be a secret: no error repeats it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

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
        "records:ingest=2,records:process=2,reports:generate=1,schedules=1,mail=2,notices=2,"
        "default=4",
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
    http_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="Proxies of one's own in front of the API, each of which adds to "
        "X-Forwarded-For whom it was asked by. 0: the connection says it.",
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#\s]+$",
        description="Where people find the pages: links in letters begin with it, wallets sign for "
        "it.",
    )
    rate_limits: str = Field(
        "",
        description="How often may be asked, where it is not the default: name=count/seconds, with "
        "commas between; `all` names every one.",
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
    storage_plugin: str | None = Field(
        None,
        pattern=r"^[a-z_][a-z0-9_]*$",
        description="A plugin's store of files, by its name, in place of a folder or a bucket.",
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
    secret_keys: SecretStr | None = Field(
        None,
        description="Keys that seal credentials and signing keys: version:64 hexadecimal digits, "
        "the newest first, with commas between. Unset, a file in the data folder.",
    )

    @field_validator("secret_keys")
    @classmethod
    def _sound(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            secret_keys_of(value.get_secret_value())
        return value

    password_memory_kib: int = Field(
        19_456, ge=8, le=1_048_576, description="Memory that checking one password takes, in KiB."
    )
    password_rounds: int = Field(
        2, ge=1, le=20, description="Passes over that memory for one password."
    )
    password_hashers: int = Field(
        1, ge=1, le=16, description="Passwords that one process checks at once."
    )
    password_waiting: int = Field(
        3,
        ge=0,
        le=200,
        description="Requests of one process that sign in or wait to beside those; fewer than "
        "FINORA_HTTP_THREADS, or sign-in takes every thread. Others are told to try again.",
    )
    replies_kept_h: int = Field(
        24,
        ge=1,
        le=9_600,
        description="Hours for which an answer is kept for whoever repeats a request with the same "
        "Idempotency-Key; of requests that write books, 400 days.",
    )
    sign_in_unproven: bool | None = Field(
        None,
        description="Whether a password signs in before its address was confirmed by the letter; "
        "then signing up with a taken address is refused. Else it is answered as for a new one. "
        "Unset: not in production.",
    )
    passkey_rp_id: str | None = Field(
        None,
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
        description="Domain that passkeys are of; a passkey is bound to it for ever. Unset, "
        "there are none but on a laptop.",
    )
    passkey_origins: str = Field(
        "",
        description="Origins of the pages that use passkeys, with commas between; unset, https and "
        "the domain.",
    )
    telegram_bot_token: SecretStr | None = Field(
        None, description="Token of the Telegram bot that people sign in with."
    )
    telegram_max_age_s: int = Field(
        3600,
        ge=30,
        le=86_400,
        description="Seconds for which what Telegram signed proves who is there.",
    )
    oidc_issuers: SecretStr | None = Field(
        None,
        description="Issuers of OpenID Connect to sign in with, as JSON: "
        '[{"name": "google", "client_id": "...", "client_secret": "..."}]; other names need an '
        '"issuer", its URL.',
    )
    external_issuer: str | None = Field(
        None, description="URL of a service whose tokens the API takes too."
    )
    external_audience: str | None = Field(
        None, min_length=1, description="Audience of those tokens that are for this installation."
    )
    external_tenant_claim: str = Field(
        "tenant",
        min_length=1,
        description="Their claim that names the tenant; dots lead into claims.",
    )
    external_role_claim: str = Field(
        "role", min_length=1, description="Their claim that names the role; as above."
    )

    @field_validator("oidc_issuers")
    @classmethod
    def _of_clients(cls, value: SecretStr | None) -> SecretStr | None:
        oidc_clients(value)
        return value

    @field_validator("data_url")
    @classmethod
    def _a_data_provider(cls, value: str | None) -> str | None:
        if value is not None and not (is_safe(value, loopback=True) and "?" not in value):
            raise ValueError("it is an https URL, or an http one of this machine")
        return value and value.rstrip("/")

    @field_validator("external_issuer")
    @classmethod
    def _issuer(cls, value: str | None) -> str | None:
        if value is not None and not (is_safe(value, loopback=True) and "?" not in value):
            raise ValueError("it is an https URL")
        return value

    mail_from: str | None = Field(
        None,
        description="Whom letters come from, and what they call this installation: "
        "Acme Money <post@acme.example>.",
    )
    operator_email: str | None = Field(
        None,
        description="Who is written to, once a day while it lasts, when dead letters pile up or a "
        "schedule is silent.",
    )
    dead_letters_alarm: int = Field(
        100, ge=1, le=1_000_000, description="So many dead letters are a fault."
    )
    mail_plugin: str | None = Field(
        None,
        pattern=r"^[a-z_][a-z0-9_]*$",
        description="A plugin's way for letters, by its name; it goes before JMAP and SMTP.",
    )
    notifiers: str = Field(
        "",
        pattern=r"^([a-z_][a-z0-9_]*(,[a-z_][a-z0-9_]*)*)?$",
        description="Plugins' ways for notices, by their names with commas between: what people "
        "are written about their accounts and budgets goes by each of them too.",
    )
    mail_smtp_url: SecretStr | None = Field(
        None,
        description="Mail server: smtp://user:password@host:587 with STARTTLS, or smtps://. "
        "Without it, and without a JMAP token, letters go into the folder mail of the data folder.",
    )
    mail_jmap_token: SecretStr | None = Field(
        None, description="Token of a JMAP account, Fastmail's or another; it goes before SMTP."
    )
    mail_jmap_url: str = Field(
        "https://api.fastmail.com/jmap/session", description="URL of that account's JMAP session."
    )

    llm_provider: str | None = Field(
        None,
        pattern=r"^[a-z_][a-z0-9_]*$",
        description="Which way to language models: `openai`, `local`, or a plugin's. Unset, "
        "`openai` with FINORA_LLM_URL, else `local`, which stays on this machine and knows little.",
    )
    llm_url: str | None = Field(
        None,
        description="Where a language model is that speaks like OpenAI's: "
        "https://openrouter.ai/api/v1.",
    )
    llm_key: SecretStr | None = Field(None, description="Key of that model's API.")
    llm_model: str = Field("", max_length=200, description="Name of the model there.")
    llm_daily_tokens: int = Field(
        1_000_000,
        ge=0,
        le=10**12,
        description="Tokens that one tenant may use on one day, UTC; 0 for none.",
    )
    llm_timeout_s: int = Field(
        30, ge=1, le=300, description="Seconds that one question to it may take."
    )
    embeddings: str = Field(
        "hashing",
        pattern=r"^[a-z_][a-z0-9_]*$",
        description="What makes vectors of texts: `hashing`, `minilm`, or a plugin's.",
    )

    @field_validator("llm_url")
    @classmethod
    def _safe_for_texts(cls, value: str | None) -> str | None:
        if value is not None and not (is_safe(value, loopback=True) and "?" not in value):
            raise ValueError("it is an https URL, or an http one of this machine")
        return value

    @field_validator("llm_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch("[!-~]+", value.get_secret_value()):
            raise ValueError("a key is one word of ASCII")
        return value

    upstream_hourly_cost: Decimal = Field(
        Decimal(0),
        ge=0,
        le=10**6,
        description="Most US dollars that requests to providers may cost in one hour, by what "
        "their manifests say; 0 for no limit.",
    )
    ask_sources: bool = Field(
        True,
        description="Whether sources of prices, rates and identities are asked at all. Without, "
        "nothing is asked of anybody outside, and prices come from files.",
    )
    source_order: str = Field(
        "",
        pattern=r"^([a-z][a-z0-9_-]*(,[a-z][a-z0-9_-]*)*)?$",
        description="Sources of prices, rates and identities in the order in which they are asked, "
        "with commas between; those that are not named come after them, by name.",
    )
    data_url: str | None = Field(
        None,
        description="The data provider that asks sources for this installation, its own "
        "(http://127.0.0.1:8082) or a hosted one; unset, each process asks them itself.",
    )
    data_key: SecretStr | None = Field(
        None, min_length=16, description="This installation's key there, of 16 characters or more."
    )
    data_monthly: int = Field(
        0,
        ge=0,
        le=10**12,
        description="Requests a month of a key of this data provider that has no quota of its own; "
        "0 for no limit.",
    )
    data_window: str = Field(
        "",
        description="The same for a shorter time: requests/seconds, at most 10000 in a day.",
    )

    @field_validator("data_window")
    @classmethod
    def _a_window(cls, value: str) -> str:
        try:
            window_of(value)
        except BadQuota as error:
            raise ValueError(error.message) from error
        return value

    plugin_settings: Mapping[str, SecretStr] = Field(
        default_factory=dict,
        description="What plugins are given: their credentials, as `finora plugins` lists them, "
        "and URL, a server of one's own in place of a source's first host.",
    )
    trusted_plugins: str = Field(
        "*",
        pattern=r"^(\*|([A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*)?)$",
        description="Packages whose plugins run in Finora's own process, with commas between; `*` "
        "is all that are installed. The code of any other runs in confined children, or not at all "
        "where the system confines none.",
    )

    def trusts(self, package: str) -> bool:
        if self.trusted_plugins == "*":
            return True
        named = map(canonical_name, self.trusted_plugins.split(","))
        return canonical_name(package) in named

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

    @field_validator("mail_from")
    @classmethod
    def _a_sender(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                Sender.read(value)
        except BadAddress as error:
            raise ValueError(error.message) from None
        return value

    @field_validator("operator_email")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                MailAddress(value)
        except BadAddress as error:
            raise ValueError(error.message) from None
        return value

    @field_validator("mail_smtp_url")
    @classmethod
    def _a_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            SmtpServer.read(value.get_secret_value())
        return value

    @field_validator("mail_jmap_token")
    @classmethod
    def _one_word(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch("[!-~]+", value.get_secret_value()):
            raise ValueError("a token is one word of ASCII")
        return value

    @field_validator("mail_jmap_url")
    @classmethod
    def _safe_for_a_token(cls, value: str) -> str:
        check_jmap(value)
        return value

    @property
    def sender(self) -> Sender:
        return Sender.read(self.mail_from or "Finora <finora@finora.invalid>")

    @property
    def notified_by(self) -> tuple[str, ...]:
        """The names of notifiers, each once."""
        return tuple(dict.fromkeys(self.notifiers.split(","))) if self.notifiers else ()

    @property
    def queue_sizes(self) -> dict[str, int]:
        return sizes(self.queues)

    @property
    def oidc_clients(self) -> tuple[OidcClient, ...]:
        return oidc_clients(self.oidc_issuers)

    @property
    def site(self) -> str:
        return self.public_url or f"http://{self.http_host}:{self.http_port}"

    @property
    def proof_first(self) -> bool:
        """Whether an address must be proven before its password signs in."""
        if self.sign_in_unproven is None:
            return self.env == "production"
        return not self.sign_in_unproven

    @property
    def passkeys(self) -> tuple[str, tuple[str, ...]] | None:
        """The domain and origins of passkeys; None where there are none."""
        domain = self.passkey_rp_id or (None if self.env == "production" else "localhost")
        if domain is None:
            return None
        listed = tuple(part.strip() for part in self.passkey_origins.split(",") if part.strip())
        laptop = f"http://{domain}:{self.http_port}"
        return domain, listed or ((laptop,) if domain == "localhost" else (f"https://{domain}",))

    @property
    def files(self) -> Path:
        return self.storage_directory or self.data / "files"

    @property
    def files_in(self) -> str:
        """What keeps files, in a word."""
        return self.storage_plugin or ("directory" if self.storage_s3_bucket is None else "s3")


def oidc_clients(value: SecretStr | None) -> tuple[OidcClient, ...]:
    """The issuers that the setting lists; raises ValueError."""
    if value is None:
        return ()
    try:
        listed = _CLIENTS.validate_json(value.get_secret_value())
    except ValidationError as error:
        # Where, and never what: there are secrets in it.
        wrong = {".".join(map(str, each["loc"])) or "the JSON" for each in error.errors()}
        raise ValueError(f"wrong in it: {', '.join(sorted(wrong))}") from None
    clients = tuple(
        client.model_copy(update={"issuer": client.issuer or _KNOWN_ISSUERS.get(client.name, "")})
        for client in listed
    )
    if len({client.name for client in clients}) != len(clients):
        raise ValueError("two issuers have one name")
    for client in clients:
        if not client.issuer:
            raise ValueError(f"{client.name} needs its issuer's URL")
    return clients


def _key(text: str) -> None:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise ValueError("a key of Ed25519 is written as 64 hexadecimal digits")


def canonical_name(package: str) -> str:
    """Of the many ways in which a package may be written, one."""
    return re.sub("[-_.]+", "-", package).lower()


def variable(name: str) -> str:
    """What a setting is called in the environment."""
    return f"{PLUGIN_PREFIX}<NAME>_<FIELD>" if name == "plugin_settings" else PREFIX + name.upper()


def sizes(text: str) -> dict[str, int]:
    """`"a=2,b:c=1"` as a dictionary; raises ValueError."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, size = part.strip().rpartition("=")
        if not name or name in found or not size.isdecimal() or not 1 <= int(size) <= 200:
            raise ValueError("queues are written name=size,name=size, each size 1 to 200")
        found[name] = int(size)
    return found


def secret_keys_of(text: str) -> dict[int, bytes]:
    """`"2:<64 hex>,1:<64 hex>"` by version, in the order in which they stand; raises ValueError
    that names everything that is wrong with them, and nothing of them."""
    found: dict[str, bytes] = {}
    wrong = []
    for place, part in enumerate(text.strip().split(","), 1):
        version, _, digits = part.strip().partition(":")
        numbered = _VERSION.fullmatch(version) is not None
        named = f"key {version}" if numbered else f"the key in place {place}"
        key = bytes.fromhex(digits) if _KEY.fullmatch(digits) else None
        if not numbered:
            wrong.append(f"{named} has no version, a whole number from 1 on, before a colon")
        elif version in found:
            wrong.append(f"{named} stands twice")
        if key is None:
            wrong.append(f"{named} has not 64 hexadecimal digits")
        elif key[:16] == key[16:]:
            wrong.append(f"{named} repeats itself; take a random one")
        elif key in found.values():
            wrong.append(f"{named} is the same as another")
        found[version] = key or b""
    if wrong:
        raise ValueError("; ".join(wrong))
    return {int(version): key for version, key in found.items()}


def from_environment(
    environment: Mapping[str, str] | None = None, points: Iterable[EntryPoint] | None = None
) -> Settings:
    """The settings of `FINORA_*` variables (the process's, if none are given), those of plugins
    among them.

    Raises BadSettings that lists every problem at once, an unknown name among them.
    """
    found = os.environ if environment is None else environment
    plugins, strange = _plugin_settings(found, points)
    values: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in found.items()
        if name.startswith(PREFIX) and not name.startswith(PLUGIN_PREFIX)
    }
    values |= {"plugin_settings": plugins} if plugins else {}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        wrong = [
            (PREFIX + str(each["loc"][0]).upper(), _said(each["type"], each["msg"]))
            for each in error.errors()
        ]
        missing = production_problems(Settings.model_construct(**values))
        raise refusal((*wrong, *strange, *missing)) from error
    if strange:
        raise refusal((*strange, *_problems(settings)))
    check_production(settings)
    return settings


def _plugin_settings(
    found: Mapping[str, str], points: Iterable[EntryPoint] | None
) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """What is set for plugins, by `<NAME>_<FIELD>`, and what is wrong with it."""
    said = {
        name.removeprefix(PLUGIN_PREFIX): value
        for name, value in found.items()
        if name.startswith(PLUGIN_PREFIX)
    }
    if not said:
        return {}, ()
    known, whole = set(), True
    for point in installed(points):
        try:
            sources = manifest_of(point).provides
        except (BadManifest, OSError, ValueError):
            # It is listed as set aside; what was set for it stops nothing.
            whole = False
            continue
        known |= {
            f"{source.name}_{field}".upper()
            for source in sources
            for field in ("url", *(each.field for each in source.credentials))
        }
    wrong = [
        (PLUGIN_PREFIX + name, "there is no such setting of an installed plugin")
        for name in sorted(said.keys() - known)
        if whole
    ]
    for name in sorted(said.keys() & known):
        if name.endswith("_URL") and not is_safe(said[name], loopback=True):
            wrong.append((PLUGIN_PREFIX + name, "it is an https URL, or http of this machine"))
        elif not re.fullmatch("[!-~]+", said[name]):
            wrong.append((PLUGIN_PREFIX + name, "it is one word of ASCII"))
    return {name: said[name] for name in said.keys() & known}, tuple(wrong)


def check_production(settings: Settings) -> None:
    """Raise BadSettings where production would run with a laptop's defaults, or nothing would."""
    if missing := _problems(settings):
        raise refusal(tuple(missing))


def _problems(settings: Settings) -> list[tuple[str, str]]:
    missing = storage_problems(settings) + sign_in_problems(settings) + mail_problems(settings)
    missing += model_problems(settings)
    return missing + production_problems(settings)


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
    kept = (settings.storage_directory, settings.storage_s3_bucket, settings.storage_plugin)
    if all(place is None for place in kept):
        said = "set it to a folder that is backed up, or FINORA_STORAGE_S3_BUCKET"
        problems.append(("FINORA_STORAGE_DIRECTORY", said))
    # Given as text where another setting is wrong; what is no number is listed already.
    cost = [settings.password_memory_kib, settings.password_rounds]
    if all(str(each).isdecimal() for each in cost) and int(cost[0]) * int(cost[1]) < _LEAST_COST:
        said = "raise it, or FINORA_PASSWORD_ROUNDS: passwords would be guessed too fast"
        problems.append(("FINORA_PASSWORD_MEMORY_KIB", said))
    if settings.public_url is None:
        problems.append(("FINORA_PUBLIC_URL", "set it to the https URL of the pages"))
    elif not str(settings.public_url).startswith("https://"):
        problems.append(("FINORA_PUBLIC_URL", "production needs https"))
    if settings.secret_keys is None:
        said = "set it to 1: and the output of `openssl rand -hex 32`, and keep a copy elsewhere"
        problems.append(("FINORA_SECRET_KEYS", said))
    ways = (settings.mail_smtp_url, settings.mail_jmap_token, settings.mail_plugin)
    if all(way is None for way in ways):
        said = "set it, or FINORA_MAIL_JMAP_TOKEN: a folder of letters is not for production"
        problems.append(("FINORA_MAIL_SMTP_URL", said))
    return problems


def sign_in_problems(settings: Settings) -> list[tuple[str, str]]:
    """What of the settings of sign-in does not go together, or not in production."""
    problems: list[tuple[str, str]] = []
    production = settings.env == "production"
    if (settings.external_issuer is None) != (settings.external_audience is None):
        unset = "ISSUER" if settings.external_issuer is None else "AUDIENCE"
        problems.append((f"FINORA_EXTERNAL_{unset}", "set issuer and audience, or neither"))
    if production and is_loopback(settings.external_issuer or ""):
        problems.append(("FINORA_EXTERNAL_ISSUER", "it is this machine; production needs https"))
    if production and any(is_loopback(client.issuer) for client in settings.oidc_clients):
        problems.append(("FINORA_OIDC_ISSUERS", "one is this machine; production needs https"))
    if production and settings.passkey_rp_id == "localhost":
        problems.append(("FINORA_PASSKEY_RP_ID", "set it to the domain of the site"))
    if settings.passkeys is None:
        if settings.passkey_origins:
            problems.append(("FINORA_PASSKEY_ORIGINS", "set FINORA_PASSKEY_RP_ID too"))
        return problems
    domain, origins = settings.passkeys
    for origin in origins:
        host = urlsplit(origin).hostname or ""
        site = is_safe(origin, loopback=not production) and origin.count("/") == 2
        if not (site and (host == domain or host.endswith(f".{domain}"))) and not (
            origin.startswith("android:apk-key-hash:")
        ):
            said = f"{origin!r} is no https origin of {domain}"
            problems.append(("FINORA_PASSKEY_ORIGINS", said))
    return problems


def mail_problems(settings: Settings) -> list[tuple[str, str]]:
    """What of the settings of mail does not go together."""
    ways = (settings.mail_smtp_url, settings.mail_jmap_token, settings.mail_plugin)
    sent = any(way is not None for way in ways)
    if sent and settings.mail_from is None:
        return [("FINORA_MAIL_FROM", "set it: letters come from an address of your own")]
    return []


def model_problems(settings: Settings) -> list[tuple[str, str]]:
    """What of the settings of language models does not go together."""
    problems: list[tuple[str, str]] = []
    if settings.llm_url is None and settings.llm_provider == "openai":
        problems.append(("FINORA_LLM_URL", "set it: nothing else says where to ask"))
    if settings.llm_url is not None and not settings.llm_model:
        problems.append(("FINORA_LLM_MODEL", "set it: FINORA_LLM_URL has more than one"))
    if settings.llm_key is not None and settings.llm_url is None and settings.llm_provider is None:
        problems.append(("FINORA_LLM_KEY", "set FINORA_LLM_URL too"))
    if settings.llm_url is not None and settings.llm_provider == "local":
        problems.append(("FINORA_LLM_URL", "unset it: FINORA_LLM_PROVIDER is local"))
    return problems


def storage_problems(settings: Settings) -> list[tuple[str, str]]:
    """What of the settings of stored files does not go together."""
    problems: list[tuple[str, str]] = []
    bucket, key, secret = (
        getattr(settings, f"storage_s3_{name}") is not None for name in ("bucket", "key", "secret")
    )
    if bucket and settings.storage_directory is not None:
        problems.append(("FINORA_STORAGE_S3_BUCKET", "unset it or FINORA_STORAGE_DIRECTORY"))
    if settings.storage_plugin is not None and (bucket or settings.storage_directory is not None):
        other = "S3_BUCKET" if bucket else "DIRECTORY"
        problems.append(("FINORA_STORAGE_PLUGIN", f"unset it or FINORA_STORAGE_{other}"))
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

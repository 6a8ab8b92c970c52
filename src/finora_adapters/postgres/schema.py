"""The tables, as the code declares them. Migrations make them; a test holds the two equal.

Every tenant's table has a primary key that starts with `tenant_id`, composite foreign keys, forced
row-level security and one policy per role (`access.py`). The bulk tables `posting` and `record`
have no foreign keys: their statement triggers (`functions.py`) check a whole statement's
references at once, where row checks were two thirds of an import.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

from finora_core.kernel.scope import SOURCE_AGENT

SCHEMA = "finora"


class MoneyUnits(UserDefinedType[int]):
    """The domain money_units: whole, finite, within 1e78. Python sees an int, never a Decimal."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return f"{SCHEMA}.money_units"

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], int | None]:
        return lambda value: None if value is None else int(value)


class Rate(UserDefinedType[Any]):
    """The domain rate: a finite numeric above zero, exact; Python sees a Decimal."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return f"{SCHEMA}.rate"


class UnitPrice(UserDefinedType[Any]):
    """The domain unit_price: as rate, and zero for what was given away."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return f"{SCHEMA}.unit_price"


class Vector(UserDefinedType[Any]):
    """pgvector's, of any dimension: a row says which it has. Python sees its text."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "vector"


class Xid8(UserDefinedType[Any]):
    """A transaction id that does not wrap."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(referred_table_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)

NOW = text("now()")
INSTANT = DateTime(timezone=True)


def _tenant() -> Column[Any]:
    return Column("tenant_id", Uuid, nullable=False)


def _id(name: str = "id") -> Column[Any]:
    return Column(name, Uuid, nullable=False)


def _at(name: str = "recorded_at") -> Column[Any]:
    return Column(name, INSTANT, nullable=False, server_default=NOW)


def _one_of(column: str, *values: str) -> CheckConstraint:
    return CheckConstraint(f"{column} in ({', '.join(map(repr, values))})", name=column)


def _to(
    parent: str, column: str, *, key: str = "id", deferred: bool = False, gone_with: bool = False
) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{SCHEMA}.{parent}.tenant_id", f"{SCHEMA}.{parent}.{key}"],
        ondelete="CASCADE" if gone_with else None,
        deferrable=deferred or None,
        initially="DEFERRED" if deferred else None,
    )


# --- global: the listed few that no tenant owns ---

asset = Table(
    "asset",
    metadata,
    Column("id", Text, primary_key=True),
    Column("scale", SmallInteger, nullable=False),
    _at(),
    CheckConstraint("scale between 0 and 36", name="scale"),
    CheckConstraint("id ~ '^[A-Za-z0-9][A-Za-z0-9:/._-]{0,199}$'", name="id"),
)

schema_state = Table(
    "schema_state",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("revision", Text, nullable=False),
    Column("digest", Text, nullable=False),
    _at("migrated_at"),
    CheckConstraint("one", name="one"),
)

# Everything below this transaction id is sealed.
seal_mark = Table(
    "seal_mark",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("below", Xid8, nullable=False),
    CheckConstraint("one", name="one"),
)

# Key-encryption keys that were ever used. They are not here: `check_value` tells whether a process
# has the right one, and does not tell which.
key_version = Table(
    "key_version",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("check_value", LargeBinary, nullable=False),
    _at("first_used_at"),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("octet_length(check_value) = 32", name="check_value"),
)

# Keys that sign tokens, each wrapped by a key-encryption key: nonce, key and tag.
signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("kek_version", BigInteger, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    _at("created_at"),
    # From then on it verifies nothing; it signs as long as there is no such time.
    Column("retires_at", INSTANT),
    ForeignKeyConstraint(["kek_version"], [f"{SCHEMA}.key_version.version"]),
    CheckConstraint("kid ~ '^[0-9a-f]{16}$'", name="kid"),
    CheckConstraint("octet_length(wrapped) = 60", name="wrapped"),
)

# Keys of warrants, as HMAC starts with them. No role has a right on it but the owner.
warrant_key = Table(
    "warrant_key",
    metadata,
    Column("inner_pad", LargeBinary, primary_key=True),
    Column("outer_pad", LargeBinary, nullable=False),
    # From then on a tenant counts with its warrant only.
    Column("enforced", Boolean, nullable=False),
    CheckConstraint("octet_length(inner_pad) = 64 and octet_length(outer_pad) = 64", name="pads"),
)

# What was used once and must not be again: signed requests, challenges. Only digests of them.
nonce = Table(
    "nonce",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", INSTANT, nullable=False),
    CheckConstraint("octet_length(digest) = 32", name="digest"),
    Index(None, "expires_at"),
)

# What one unit of `base` was worth in `quote` on a day, as a source said it. A correction is a
# further revision; the highest holds, and what was computed with another can still be told.
fx_rate = Table(
    "fx_rate",
    metadata,
    Column("base", Text, nullable=False),
    Column("quote", Text, nullable=False),
    Column("on_date", Date, nullable=False),
    Column("source", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("value", Rate, nullable=False),
    # One up with every fact, in the order in which they became known.
    Column("number", BigInteger, nullable=False),
    _at(),
    PrimaryKeyConstraint("base", "quote", "on_date", "source", "revision"),
    ForeignKeyConstraint(["base"], [f"{SCHEMA}.asset.id"], name="fx_rate_base_fkey"),
    ForeignKeyConstraint(["quote"], [f"{SCHEMA}.asset.id"], name="fx_rate_quote_fkey"),
    UniqueConstraint("number"),
    CheckConstraint("base <> quote", name="quote"),
    CheckConstraint("source ~ '^[a-z][a-z0-9._-]{0,63}$'", name="source"),
    CheckConstraint("revision > 0", name="revision"),
)

# One taking in of prices. Its number is one up, in the order in which they became known; what a
# price table knew at some time is every price up to a number.
price_load = Table(
    "price_load",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    _at(),
    CheckConstraint("source ~ '^[a-z][a-z0-9._-]{0,63}$'", name="source"),
)

# Which pairs have prices at all: so that a chain of them is looked for where there is one.
price_pair = Table(
    "price_pair",
    metadata,
    Column("asset", Text, nullable=False),
    Column("quote", Text, nullable=False),
    PrimaryKeyConstraint("asset", "quote"),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"], name="price_pair_asset_fkey"),
    ForeignKeyConstraint(["quote"], [f"{SCHEMA}.asset.id"], name="price_pair_quote_fkey"),
    CheckConstraint("asset <> quote", name="quote"),
)

# What one whole unit of `asset` was worth in `quote`. The highest revision of a source holds. No
# foreign keys and no check but the key's and the value's: what adds makes the pair and the load
# first, and row checks would be half of taking in a million.
price = Table(
    "price",
    metadata,
    Column("asset", Text, nullable=False),
    Column("quote", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("granularity", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("value", Rate, nullable=False),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("asset", "quote", "at", "granularity", "source", "revision"),
    _one_of("granularity", "intraday", "daily", "exact"),
)

# What a company did to its shares: so many new ones for one old on that day, or so much of `quote`
# paid for each. What a history is mended and adjusted by.
price_action = Table(
    "price_action",
    metadata,
    Column("asset", Text, nullable=False),
    Column("quote", Text, nullable=False),
    Column("on_date", Date, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("value", Rate, nullable=False),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("asset", "quote", "on_date", "kind", "source", "revision"),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"], name="price_action_asset_fkey"),
    ForeignKeyConstraint(["quote"], [f"{SCHEMA}.asset.id"], name="price_action_quote_fkey"),
    _one_of("kind", "split", "dividend"),
)

# Nobody had a price of the pair when asked: it is asked for again from `until` on.
price_absence = Table(
    "price_absence",
    metadata,
    Column("asset", Text, nullable=False),
    Column("quote", Text, nullable=False),
    Column("said_at", INSTANT, nullable=False),
    Column("until", INSTANT, nullable=False),
    PrimaryKeyConstraint("asset", "quote", "said_at"),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"], name="price_absence_asset_fkey"),
    ForeignKeyConstraint(["quote"], [f"{SCHEMA}.asset.id"], name="price_absence_quote_fkey"),
)

# Who an asset is, for good: what people call it, and where. What is thought of it is a verdict.
asset_identity = Table(
    "asset_identity",
    metadata,
    Column("asset", Text, primary_key=True),
    Column("symbol", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # The exchange or chain that the symbol is of: empty where there is one for the whole world.
    Column("segment", Text, nullable=False),
    Column("title", Text, nullable=False),
    # The symbol as the eye sees it: two that look alike have the same.
    Column("skeleton", Text, nullable=False),
    _at(),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"], name="asset_identity_asset_fkey"),
    UniqueConstraint("symbol", "kind", "segment"),
    Index(None, "skeleton"),
    _one_of("kind", "currency", "crypto", "security", "other"),
    CheckConstraint("length(symbol) between 1 and 64", name="symbol"),
    CheckConstraint("length(segment) <= 200", name="segment"),
    CheckConstraint("length(title) <= 200", name="title"),
)

# What each namespace calls an asset. Who came first holds it.
asset_name = Table(
    "asset_name",
    metadata,
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("asset", Text, nullable=False),
    _at(),
    PrimaryKeyConstraint("namespace", "name"),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset_identity.asset"]),
    UniqueConstraint("asset", "namespace"),
    CheckConstraint("namespace ~ '^[a-z][a-z0-9._-]{0,63}$'", name="namespace"),
    CheckConstraint("length(name) between 1 and 200", name="name"),
)

# How likely it is a scam, in ten thousandths, and which known asset it pretends to be. The latest
# holds; a further row is also how it is known when it was looked at.
asset_verdict = Table(
    "asset_verdict",
    metadata,
    Column("asset", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("scam", SmallInteger),
    Column("lookalike", Text),
    _at(),
    PrimaryKeyConstraint("asset", "number"),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset_identity.asset"]),
    ForeignKeyConstraint(["lookalike"], [f"{SCHEMA}.asset.id"], name="asset_verdict_like_fkey"),
    CheckConstraint("scam between 0 and 10000", name="scam"),
    CheckConstraint("source ~ '^[a-z][a-z0-9._-]{0,63}$'", name="source"),
)

# --- identity ---

tenant = Table(
    "tenant",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("key", Text, nullable=False),
    Column("base_asset", Text, nullable=False, server_default="EUR"),
    _at(),
    Column("kind", Text, nullable=False, server_default="host"),
    # Of a host's tenant its key says enough.
    Column("name", Text, nullable=False, server_default=""),
    # Across tenants on purpose: the host's own name of a tenant is read before a tenant is known,
    # by a definer function that the runtime roles cannot look through.
    UniqueConstraint("key"),
    CheckConstraint("length(key) between 1 and 200", name="key"),
    CheckConstraint("length(name) <= 200", name="name"),
    _one_of("kind", "personal", "business", "host"),
)

person = Table(
    "person",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("key", Text, nullable=False),
    _at(),
    # Of a person who signs in; a host's own user has none, and nothing of what follows.
    Column("home_id", Uuid),
    Column("name", Text, nullable=False, server_default=""),
    Column("locale", Text, nullable=False, server_default="en"),
    Column("currency", Text, nullable=False, server_default="EUR"),
    # Platform roles, in order, with commas between: what a transaction's proof is compared with.
    Column("roles", Text, nullable=False, server_default=""),
    Column("password", Text),
    # The sealed secret of one-time codes, and the last time step whose code was used.
    Column("codes", LargeBinary),
    Column("code_step", BigInteger),
    Column("banned_at", INSTANT),
    Column("preferences", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # From then on the row is only an id, which rows of others name.
    Column("erased_at", INSTANT),
    UniqueConstraint("key"),
    ForeignKeyConstraint(["home_id"], [f"{SCHEMA}.tenant.tenant_id"]),
    CheckConstraint("length(key) between 1 and 200", name="key"),
    CheckConstraint("length(name) <= 200", name="name"),
    CheckConstraint("starts_with(password, '$argon2id$')", name="password"),
    CheckConstraint("octet_length(preferences::text) <= 8192", name="preferences"),
    CheckConstraint(
        "erased_at is null or (home_id is null and name = '' and password is null "
        "and codes is null and roles = '' and preferences = '{}'::jsonb)",
        name="erased_at",
    ),
)

membership = Table(
    "membership",
    metadata,
    _tenant(),
    _id("user_id"),
    Column("role", Text, nullable=False, server_default="owner"),
    _at(),
    PrimaryKeyConstraint("tenant_id", "user_id"),
    ForeignKeyConstraint(["tenant_id"], [f"{SCHEMA}.tenant.tenant_id"]),
    ForeignKeyConstraint(["user_id"], [f"{SCHEMA}.person.user_id"]),
    _one_of("role", "owner", "admin", "accountant", "viewer"),
    Index(None, "user_id"),
)

# A secret that lets a program ask as its user, in one tenant. Only a digest of it is kept; the
# token's text names tenant and row, so that it is found without looking across tenants.
token = Table(
    "token",
    metadata,
    _tenant(),
    _id(),
    _id("user_id"),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    _at("created_at"),
    Column("expires_at", INSTANT),
    Column("revoked_at", INSTANT),
    # Permissions, in order, with commas between; null: all that its user's role has.
    Column("permissions", Text),
    PrimaryKeyConstraint("tenant_id", "id"),
    # Gone with its user's membership.
    ForeignKeyConstraint(
        ["tenant_id", "user_id"],
        [f"{SCHEMA}.membership.tenant_id", f"{SCHEMA}.membership.user_id"],
        ondelete="CASCADE",
    ),
    CheckConstraint("octet_length(digest) = 32", name="digest"),
    CheckConstraint("length(name) between 1 and 200", name="name"),
)

invite = Table(
    "invite",
    metadata,
    _tenant(),
    _id(),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    _id("invited_by"),
    _at("created_at"),
    Column("expires_at", INSTANT, nullable=False),
    Column("accepted_at", INSTANT),
    Column("withdrawn_at", INSTANT),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id"], [f"{SCHEMA}.tenant.tenant_id"]),
    _one_of("role", "owner", "admin", "accountant", "viewer"),
    CheckConstraint("length(email) between 3 and 254", name="email"),
)

# --- identity: what belongs to a person and to no tenant ---

# By what a person is known. Unique across all people: a definer function finds one row by it.
identity = Table(
    "identity",
    metadata,
    _id("user_id"),
    _id(),
    Column("kind", Text, nullable=False),
    Column("issuer", Text, nullable=False, server_default=""),
    Column("subject", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("data", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("verified_at", INSTANT),
    _at("created_at"),
    Column("used_at", INSTANT),
    PrimaryKeyConstraint("user_id", "id"),
    UniqueConstraint("kind", "issuer", "subject"),
    ForeignKeyConstraint(["user_id"], [f"{SCHEMA}.person.user_id"]),
    _one_of("kind", "email", "passkey", "wallet", "oidc", "telegram"),
    CheckConstraint("length(issuer) <= 500", name="issuer"),
    CheckConstraint("length(subject) between 1 and 1500", name="subject"),
    CheckConstraint("length(label) between 1 and 254", name="label"),
)

session = Table(
    "session",
    metadata,
    _id("user_id"),
    _id(),
    Column("kind", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("network", Text, nullable=False),
    _at("created_at"),
    _at("seen_at"),
    Column("ends_at", INSTANT, nullable=False),
    _at("proven_at"),
    # Of the newest refresh token; the token itself is a signature over it, and kept nowhere.
    Column("generation", Integer, nullable=False, server_default="0"),
    _at("rotated_at"),
    Column("ended_at", INSTANT),
    Column("reason", Text),
    PrimaryKeyConstraint("user_id", "id"),
    ForeignKeyConstraint(["user_id"], [f"{SCHEMA}.person.user_id"]),
    _one_of("kind", "bearer", "browser"),
    CheckConstraint("(ended_at is null) = (reason is null)", name="reason"),
)

# A link or code that was sent: signatures over its id, so that the row holds no secret.
challenge = Table(
    "challenge",
    metadata,
    _id("user_id"),
    _id(),
    Column("purpose", Text, nullable=False),
    _id("identity_id"),
    _at("created_at"),
    Column("expires_at", INSTANT, nullable=False),
    Column("used_at", INSTANT),
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("user_id", "id"),
    ForeignKeyConstraint(
        ["user_id", "identity_id"],
        [f"{SCHEMA}.identity.user_id", f"{SCHEMA}.identity.id"],
        ondelete="CASCADE",
    ),
    _one_of("purpose", "verify", "reset", "magic", "code"),
)

# Where things are sent to a person.
address = Table(
    "address",
    metadata,
    _id("user_id"),
    _id(),
    Column("label", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("city", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("postal_code", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("phone", Text),
    Column("is_default", Boolean, nullable=False, server_default="false"),
    _at("created_at"),
    PrimaryKeyConstraint("user_id", "id"),
    ForeignKeyConstraint(["user_id"], [f"{SCHEMA}.person.user_id"]),
    CheckConstraint("country ~ '^[A-Z]{2}$'", name="country"),
    CheckConstraint("jsonb_array_length(lines) between 1 and 4", name="lines"),
    # One default, whoever sets it at the same moment.
    Index("address_default_key", "user_id", unique=True, postgresql_where=text("is_default")),
)

# How often somebody guessed wrong, by a digest of what was guessed at, whether it exists or not.
# Only definer functions touch it.
guess = Table(
    "guess",
    metadata,
    Column("subject", LargeBinary, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("locked_until", INSTANT),
    _at("failed_at"),
    CheckConstraint("octet_length(subject) = 32", name="subject"),
)

# --- secrets ---

# A key of one tenant, wrapped by a key-encryption key.
data_key = Table(
    "data_key",
    metadata,
    _tenant(),
    _id(),
    Column("kek_version", BigInteger, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    _at("created_at"),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["kek_version"], [f"{SCHEMA}.key_version.version"]),
    CheckConstraint("octet_length(wrapped) = 60", name="wrapped"),
)

# A credential of a third party, of one person in one tenant.
secret = Table(
    "secret",
    metadata,
    _tenant(),
    _id(),
    _id("user_id"),
    Column("institution", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    _at("created_at"),
    _at("changed_at"),
    Column("last_used_at", INSTANT),
    Column("expires_at", INSTANT),
    Column("sync_blocked_until", INSTANT),
    Column("failures", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "user_id", "institution"),
    # Gone with the membership of its user.
    ForeignKeyConstraint(
        ["tenant_id", "user_id"],
        [f"{SCHEMA}.membership.tenant_id", f"{SCHEMA}.membership.user_id"],
        ondelete="CASCADE",
    ),
    CheckConstraint("institution ~ '^[a-z][a-z0-9._-]{0,63}$'", name="institution"),
    CheckConstraint("type ~ '^[a-z][a-z0-9._-]{0,63}$'", name="type"),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("failures >= 0", name="failures"),
)

secret_field = Table(
    "secret_field",
    metadata,
    _tenant(),
    _id("secret_id"),
    Column("name", Text, nullable=False),
    _id("data_key_id"),
    Column("nonce", LargeBinary, nullable=False),
    # The text and its tag, which holds for this tenant, row, version, name, person, institution.
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "secret_id", "name"),
    # Twice the same nonce with one key would give both texts away.
    UniqueConstraint("tenant_id", "data_key_id", "nonce"),
    _to("secret", "secret_id", gone_with=True),
    _to("data_key", "data_key_id"),
    CheckConstraint("name ~ '^[a-z][a-z0-9_]{0,39}$'", name="name"),
    CheckConstraint("octet_length(nonce) = 12", name="nonce"),
    CheckConstraint("octet_length(content) between 17 and 16400", name="content"),
)

# --- audit and jobs ---

# One up with every transaction that wrote an event: what was read at a version is true as long as
# the version is. Written last of all in its transaction, so that it is locked for the commit alone.
version = Table(
    "version",
    metadata,
    _tenant(),
    Column("number", BigInteger, nullable=False),
    _at("changed_at"),
    # The tenant was erased: nobody writes in it any more.
    Column("closed", Boolean, nullable=False, server_default="false"),
    PrimaryKeyConstraint("tenant_id"),
)

event = Table(
    "event",
    metadata,
    _tenant(),
    _id(),
    Column("type", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("actor", Uuid, nullable=False),
    Column("request_id", Text, nullable=False),
    _at(),
    Column("tx", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    # The program that it comes from. Last, where a migration adds it.
    Column("source_agent", Text, nullable=False, server_default=SOURCE_AGENT),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index(None, "tx"),
)

seal = Table(
    "seal",
    metadata,
    _tenant(),
    Column("seq", BigInteger, nullable=False),
    _id("event_id"),
    Column("tx", Xid8, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("sealed_at", INSTANT, nullable=False, server_default=text("clock_timestamp()")),
    PrimaryKeyConstraint("tenant_id", "seq"),
    UniqueConstraint("tenant_id", "event_id"),
    _to("event", "event_id"),
    CheckConstraint("octet_length(hash) = 32", name="hash"),
)

command = Table(
    "command",
    metadata,
    _tenant(),
    _id("user_id"),
    Column("key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("reply", LargeBinary, nullable=False),
    _at(),
    PrimaryKeyConstraint("tenant_id", "user_id", "key"),
    CheckConstraint("length(key) between 1 and 255", name="key"),
)

job = Table(
    "job",
    metadata,
    _tenant(),
    _id(),
    Column("name", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("max_attempts", SmallInteger, nullable=False),
    Column("run_at", INSTANT, nullable=False, server_default=NOW),
    Column("lease_until", INSTANT),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("done_parts", BigInteger, nullable=False, server_default="0"),
    Column("all_parts", BigInteger),
    Column("result", JSONB),
    Column("reason", Text),
    Column("message", Text),
    Column("error", Text),
    _at("created_at"),
    Column("started_at", INSTANT),
    Column("finished_at", INSTANT),
    Column("dismissed_at", INSTANT),
    # When the queue was last told of it. A wake-up may be lost; then it is told again.
    Column("announced_at", INSTANT),
    PrimaryKeyConstraint("tenant_id", "id"),
    _to("event", "event_id"),
    _one_of("state", "waiting", "running", "done", "refused", "dead", "paused", "cancelled"),
    CheckConstraint("attempts between 0 and max_attempts", name="attempts"),
    CheckConstraint("length(result::text) <= 65536", name="result"),
    Index(
        "job_ready_idx",
        "run_at",
        postgresql_where=text("state in ('waiting', 'running')"),
    ),
    Index(None, "tenant_id", "created_at"),
    Index(
        "job_wake_idx",
        text("announced_at nulls first"),
        postgresql_where=text("state in ('waiting', 'running')"),
    ),
)

# One row for every period of a schedule that was started: the key is what makes it run once.
period = Table(
    "period",
    metadata,
    _tenant(),
    Column("schedule", Text, nullable=False),
    Column("due_at", INSTANT, nullable=False),
    _id("job_id"),
    _at("taken_at"),
    PrimaryKeyConstraint("tenant_id", "schedule", "due_at"),
)

# Queues that an operator stopped; a queue without a row runs.
paused_queue = Table(
    "paused_queue",
    metadata,
    Column("queue", Text, primary_key=True),
    _at("paused_at"),
)

# --- files ---

stored_file = Table(
    "stored_file",
    metadata,
    _tenant(),
    _id(),
    _id("user_id"),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary),
    # Announced: somebody may upload it, and has not said that it is there.
    Column("state", Text, nullable=False),
    Column("reason", Text),
    _at("created_at"),
    Column("expires_at", INSTANT),
    PrimaryKeyConstraint("tenant_id", "id"),
    _one_of("state", "announced", "kept", "quarantined"),
    CheckConstraint("bytes >= 0", name="bytes"),
    CheckConstraint("sha256 is null or octet_length(sha256) = 32", name="sha256"),
    Index(None, "tenant_id", "created_at"),
    Index(
        "stored_file_expires_at_idx",
        "expires_at",
        postgresql_where=text("expires_at is not null"),
    ),
)

# --- ledger ---

account = Table(
    "account",
    metadata,
    _tenant(),
    _id(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # The natural side: 1 where money in is positive, -1 where it is negative.
    Column("normal", SmallInteger, nullable=False),
    Column("floor", MoneyUnits),
    Column("asset", Text),
    Column("owner", Uuid),
    _at("opened_at"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "name"),
    ForeignKeyConstraint(["tenant_id"], [f"{SCHEMA}.tenant.tenant_id"]),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"]),
    _one_of("kind", "asset", "liability", "income", "expense", "equity", "outside"),
    CheckConstraint(
        "normal = case when kind in ('asset', 'expense', 'outside') then 1 else -1 end",
        name="normal",
    ),
    CheckConstraint("length(name) between 1 and 200", name="name"),
)

balance = Table(
    "balance",
    metadata,
    _tenant(),
    _id("account_id"),
    Column("asset", Text, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    Column("held", MoneyUnits, nullable=False, server_default="0"),
    Column("normal", SmallInteger, nullable=False),
    Column("floor", MoneyUnits),
    Column("available", MoneyUnits, Computed("normal * units - held", persisted=True)),
    PrimaryKeyConstraint("tenant_id", "account_id", "asset"),
    _to("account", "account_id"),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"]),
    CheckConstraint("held >= 0", name="held"),
    CheckConstraint("floor is null or normal * units - held >= floor", name="floor"),
)

entry = Table(
    "entry",
    metadata,
    _tenant(),
    _id(),
    Column("on_date", Date, nullable=False),
    # How its money counts in the totals; a label may say otherwise later.
    Column("flow", Text, nullable=False, server_default="flow"),
    Column("cause", Text, nullable=False),
    Column("reference", Text),
    Column("reverses", Uuid),
    Column("rate", Rate),
    Column("rate_source", Text),
    _at(),
    Column("tx", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    # The day that the bank says, where that day was closed already and `on_date` is the first open
    # one. Last, where a migration adds it.
    Column("bank_date", Date),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index(
        "entry_late_idx",
        "tenant_id",
        "on_date",
        "id",
        postgresql_where=text("bank_date is not null"),
    ),
    # Of reversals only: an index of every entry would cost each import, and where the planner
    # thinks a tenant small it would take it for the key and read all of the tenant's entries.
    Index(
        "entry_tenant_id_reverses_key",
        "tenant_id",
        "reverses",
        unique=True,
        postgresql_where=text("reverses is not null"),
    ),
    _to("entry", "reverses"),
    _one_of("flow", "flow", "transfer", "opening", "exchange"),
    CheckConstraint("flow <> 'exchange' or (rate is not null and rate_source is not null)",
                    name="rate"),
    CheckConstraint("reverses <> id", name="reverses"),
    CheckConstraint("bank_date < on_date", name="bank_date"),
)  # fmt: skip

posting = Table(
    "posting",
    metadata,
    _tenant(),
    _id("entry_id"),
    Column("line", SmallInteger, nullable=False),
    _id("account_id"),
    Column("asset", Text, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    # The entry's date again, so that a balance at a date reads one index.
    Column("on_date", Date, nullable=False),
    PrimaryKeyConstraint("tenant_id", "entry_id", "line"),
    CheckConstraint("units <> 0", name="units"),
    Index(
        None,
        "tenant_id",
        "account_id",
        "on_date",
        postgresql_include=["asset", "units"],
    ),
)

hold = Table(
    "hold",
    metadata,
    _tenant(),
    _id(),
    _id("account_id"),
    Column("asset", Text, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    Column("reference", Text),
    Column("expires_at", INSTANT),
    _at(),
    PrimaryKeyConstraint("tenant_id", "id"),
    _to("account", "account_id"),
    CheckConstraint("units > 0", name="units"),
    Index(None, "tenant_id", "account_id"),
)

hold_end = Table(
    "hold_end",
    metadata,
    _tenant(),
    _id("hold_id"),
    Column("outcome", Text, nullable=False),
    Column("units", MoneyUnits, nullable=False, server_default="0"),
    Column("entry_id", Uuid),
    _at(),
    # The key is what makes a hold end once.
    PrimaryKeyConstraint("tenant_id", "hold_id"),
    _to("hold", "hold_id"),
    # Deferred: a hold gives its money free before the entry that takes it can be posted.
    _to("entry", "entry_id", deferred=True),
    _one_of("outcome", "posted", "voided", "expired"),
    CheckConstraint("units >= 0 and (outcome = 'posted') = (units > 0)", name="units"),
    CheckConstraint("(outcome = 'posted') = (entry_id is not null)", name="entry"),
)

# Opinions over an entry: its category, and whether its money stayed in the family. Never changed;
# the highest number is in force.
label = Table(
    "label",
    metadata,
    _tenant(),
    _id("entry_id"),
    Column("number", SmallInteger, nullable=False),
    Column("category", Text, nullable=False, server_default=""),
    Column("flow", Text, nullable=False, server_default="flow"),
    Column("source", Text, nullable=False),
    Column("set_by", Uuid, nullable=False),
    _at(),
    # The rule that said it. It may be gone since.
    Column("rule_id", Uuid),
    # None: from before transactions were noted here.
    Column("tx", Xid8, server_default=text("pg_current_xact_id()")),
    PrimaryKeyConstraint("tenant_id", "entry_id", "number"),
    _one_of("flow", "flow", "transfer", "opening", "exchange"),
    _one_of("source", "statement", "match", "rule", "embedding", "llm", "human"),
    CheckConstraint("number > 0", name="number"),
)

# Until when the books are closed; the highest number holds. `through` null: nothing is closed.
closing = Table(
    "closing",
    metadata,
    _tenant(),
    Column("number", Integer, nullable=False),
    Column("through", Date),
    Column("reason", Text, nullable=False, server_default=""),
    Column("acted_by", Uuid, nullable=False),
    # What a report as of this closing needs and nothing else keeps: the base asset, the rates that
    # were known, and what had not been approved.
    Column("base_asset", Text, nullable=False),
    Column("rates", BigInteger, nullable=False),
    Column("unapproved", JSONB, nullable=False),
    _at(),
    Column("tx", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    PrimaryKeyConstraint("tenant_id", "number"),
    CheckConstraint("number > 0", name="number"),
    CheckConstraint("length(reason) <= 500", name="reason"),
)

# Of a label that divides its entry among categories: they sum to what the entry moves on the
# tenant's own account, and the totals follow them.
label_part = Table(
    "label_part",
    metadata,
    _tenant(),
    _id("entry_id"),
    Column("number", SmallInteger, nullable=False),
    Column("part", SmallInteger, nullable=False),
    Column("category", Text, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    PrimaryKeyConstraint("tenant_id", "entry_id", "number", "part"),
    # Deferred: a part is written before its label, whose trigger reads it.
    ForeignKeyConstraint(
        ["tenant_id", "entry_id", "number"],
        [f"{SCHEMA}.label.tenant_id", f"{SCHEMA}.label.entry_id", f"{SCHEMA}.label.number"],
        deferrable=True,
        initially="DEFERRED",
    ),
    CheckConstraint("units <> 0", name="units"),
)

# The tenant's list of categories: paths of names with `:` between them. One enters it by hand, or
# when a label first uses it.
category = Table(
    "category",
    metadata,
    _tenant(),
    Column("name", Text, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    _at("created_at"),
    Column("archived_at", INSTANT),
    PrimaryKeyConstraint("tenant_id", "name"),
    CheckConstraint("length(name) between 1 and 200", name="name"),
)

total = Table(
    "total",
    metadata,
    _tenant(),
    Column("month", Date, nullable=False),
    _id("account_id"),
    Column("asset", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    Column("postings", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "month", "account_id", "asset", "category", "direction"),
    _one_of("direction", "in", "out", "transfer", "opening", "exchange"),
)

# --- records ---

account_number = Table(
    "account_number",
    metadata,
    _tenant(),
    Column("number", Text, nullable=False),
    _id("account_id"),
    _at(),
    PrimaryKeyConstraint("tenant_id", "number"),
    _to("account", "account_id"),
    CheckConstraint("length(number) between 1 and 200", name="number"),
)

profile = Table(
    "profile",
    metadata,
    _tenant(),
    Column("format", Text, nullable=False),
    Column("layout", Text, nullable=False),
    Column("answers", JSONB, nullable=False),
    Column("account_id", Uuid),
    _at(),
    PrimaryKeyConstraint("tenant_id", "format", "layout"),
    _to("account", "account_id"),
)

statement_import = Table(
    "statement_import",
    metadata,
    _tenant(),
    _id(),
    Column("file_name", Text, nullable=False),
    Column("file_key", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("request", JSONB, nullable=False),
    Column("result", JSONB),
    Column("asked_by", Uuid, nullable=False),
    _at(),
    PrimaryKeyConstraint("tenant_id", "id"),
)

record = Table(
    "record",
    metadata,
    _tenant(),
    _id(),
    # What tells this line from every other of its account; never changed, void or not.
    _id("received_account_id"),
    _id("identity"),
    Column("occurrence", Integer, nullable=False),
    # What was received.
    Column("import_id", Uuid),
    Column("place", BigInteger),
    Column("source", Text, nullable=False),
    Column("raw", Text),
    # What holds now: the latest revision. Earlier ones are kept in `revision`.
    _id("account_id"),
    Column("on_date", Date, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    Column("asset", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("counterparty", Text),
    Column("merchant_key", Text, nullable=False),
    Column("bank_id", Text),
    Column("bank_state", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="received"),
    Column("void", Boolean, nullable=False, server_default="false"),
    # A person changed it: what files say later no longer shows.
    Column("edited", Boolean, nullable=False, server_default="false"),
    Column("entry_id", Uuid),
    Column("revision", SmallInteger, nullable=False, server_default="0"),
    # Of earlier releases, and empty: the trace is in `decision`.
    Column("reasoning_trace", JSONB),
    _at(),
    # What people and rules say of it. Tags and locked fields are in order, with commas between.
    Column("merchant", Text),
    Column("note", Text, nullable=False, server_default=""),
    Column("tags", Text, nullable=False, server_default=""),
    Column("locked", Text, nullable=False, server_default=""),
    # The category that waits for a person, and how sure its finder was of it.
    Column("suggested", Text, nullable=False, server_default=""),
    Column("confidence", SmallInteger),
    # How many there are in `decision`.
    Column("decisions", SmallInteger, nullable=False, server_default="0"),
    # When a person decided last: from then on it is what automation learns from.
    Column("reviewed_at", INSTANT),
    # Of one entered by hand; of the others their import knows who brought them.
    Column("entered_by", Uuid),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "received_account_id", "identity", "occurrence"),
    _one_of("bank_state", "pending", "booked"),
    _one_of("status", "received", "processing", "processed", "needs_review", "approved",
            "overridden", "failed"),
    # A zero moves no money and posts no entry.
    CheckConstraint("(entry_id is not null) = (bank_state = 'booked' and not void and units <> 0)",
                    name="entry"),
    CheckConstraint("confidence between 0 and 10000", name="confidence"),
    CheckConstraint("length(suggested) <= 200", name="suggested"),
    Index(None, "tenant_id", "on_date", "id"),
    # What waits to be processed. Of the tenant alone: equal keys are kept once, which costs an
    # import next to nothing.
    Index("record_received_idx", "tenant_id",
          postgresql_where=text("status = 'received' and entry_id is not null")),
    # The queue of reviewers.
    Index("record_review_idx", "tenant_id", "confidence", "on_date", "id",
          postgresql_where=text("status = 'needs_review' and entry_id is not null")),
    # What people decided, by merchant.
    Index("record_memory_idx", "tenant_id", "merchant_key", "reviewed_at",
          postgresql_where=text("reviewed_at is not null and entry_id is not null")),
    # And when: what there is to learn from, and whether there is more by now.
    Index("record_reviewed_idx", "tenant_id", "reviewed_at",
          postgresql_where=text("reviewed_at is not null and entry_id is not null")),
    # A line is booked by an entry of its own id first; only later entries need to be found.
    Index("record_entry_idx", "tenant_id", "entry_id", postgresql_where=text("entry_id <> id")),
)  # fmt: skip

# Why a record has its category: every step that led there, and every person's word. Never changed.
decision = Table(
    "decision",
    metadata,
    _tenant(),
    _id("record_id"),
    Column("number", SmallInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("confidence", SmallInteger, nullable=False),
    Column("rationale", Text, nullable=False),
    Column("rule_id", Uuid),
    # Ids of records.
    Column("neighbours", JSONB),
    Column("model", Text),
    Column("note", Text),
    _id("decided_by"),
    _at("decided_at"),
    # Of a person's: how the record was before, for when it is taken back. None: from before that.
    Column("was", JSONB),
    PrimaryKeyConstraint("tenant_id", "record_id", "number"),
    _to("record", "record_id"),
    _one_of("source", "statement", "match", "rule", "similar", "model", "human"),
    _one_of("verdict", "auto", "suggested", "none", "approved", "overridden"),
    CheckConstraint("confidence between 0 and 10000", name="confidence"),
    CheckConstraint("length(category) <= 200 and length(rationale) <= 1000", name="category"),
    CheckConstraint("length(note) <= 4000", name="note"),
    # The report of a span of weeks reads no more than that.
    Index(None, "tenant_id", "decided_at"),
)

# When records need no person, and which persons may decide; a tenant without a row has the usual.
review_setting = Table(
    "review_setting",
    metadata,
    _tenant(),
    Column("similar_auto", SmallInteger, nullable=False),
    Column("similar_suggested", SmallInteger, nullable=False),
    Column("model_auto", SmallInteger, nullable=False),
    Column("ask_model", Boolean, nullable=False),
    Column("separate_duties", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant_id"),
    CheckConstraint(
        "0 <= similar_suggested and similar_suggested <= similar_auto and similar_auto <= 10000 "
        "and model_auto between 0 and 10000",
        name="similar_auto",
    ),
)

# A wish to look at records again. `after` is the last record of those that are done, so that who
# takes the job over goes on there.
reprocess = Table(
    "reprocess",
    metadata,
    _tenant(),
    _id(),
    Column("wanted", JSONB, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("asked_by", Uuid, nullable=False),
    _at(),
    Column("after", Uuid),
    Column("counts", JSONB),
    PrimaryKeyConstraint("tenant_id", "id"),
)

revision = Table(
    "revision",
    metadata,
    _tenant(),
    _id("record_id"),
    Column("number", SmallInteger, nullable=False),
    _id("account_id"),
    Column("on_date", Date, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    Column("asset", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("counterparty", Text),
    Column("bank_id", Text),
    Column("bank_state", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("void", Boolean, nullable=False),
    Column("edited", Boolean, nullable=False),
    Column("entry_id", Uuid),
    _at("replaced_at"),
    Column("replaced_by", Uuid, nullable=False),
    Column("merchant", Text),
    Column("note", Text, nullable=False, server_default=""),
    Column("tags", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("tenant_id", "record_id", "number"),
    _to("record", "record_id"),
)

# The same line, seen again in another file under another identity: claimed, not doubled.
sighting = Table(
    "sighting",
    metadata,
    _tenant(),
    _id("account_id"),
    _id("identity"),
    Column("occurrence", Integer, nullable=False),
    _id("record_id"),
    Column("source", Text, nullable=False),
    Column("import_id", Uuid, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("on_date", Date, nullable=False),
    Column("raw", Text),
    _at(),
    PrimaryKeyConstraint("tenant_id", "account_id", "identity", "occurrence"),
    _to("record", "record_id"),
    Index(None, "tenant_id", "record_id"),
)

observation = Table(
    "observation",
    metadata,
    _tenant(),
    _id("account_id"),
    Column("asset", Text, nullable=False),
    # The balance at the end of this day.
    Column("on_date", Date, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    Column("source", Text, nullable=False),
    Column("import_id", Uuid, nullable=False),
    _at(),
    PrimaryKeyConstraint("tenant_id", "account_id", "asset", "on_date", "units", "source"),
    _to("account", "account_id"),
)

# The opening entry of an account, derived from its earliest observation; the highest number holds.
opening = Table(
    "opening",
    metadata,
    _tenant(),
    _id("account_id"),
    Column("asset", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("on_date", Date, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    Column("entry_id", Uuid),
    _at(),
    PrimaryKeyConstraint("tenant_id", "account_id", "asset", "number"),
    _to("account", "account_id"),
    _to("entry", "entry_id"),
    # Over a closed period only the difference is posted, and the whole may be nothing then.
    CheckConstraint("entry_id is not null or units = 0", name="entry"),
)

# --- reports ---

# A report that somebody asked for, and the file that its job made of it.
report = Table(
    "report",
    metadata,
    _tenant(),
    _id(),
    Column("kind", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("asked", JSONB, nullable=False),
    Column("asked_by", Uuid, nullable=False),
    _at("created_at"),
    _id("job_id"),
    Column("file_id", Uuid),
    Column("finished_at", INSTANT),
    Column("expires_at", INSTANT),
    PrimaryKeyConstraint("tenant_id", "id"),
    CheckConstraint("(file_id is null) = (finished_at is null)", name="file"),
    Index(None, "tenant_id", "created_at", "id"),
)

# --- receipts ---

# A file that proves a record, or waits for the one it proves.
receipt = Table(
    "receipt",
    metadata,
    _tenant(),
    _id(),
    _id("file_id"),
    Column("record_id", Uuid),
    # What whoever brought it says is on it.
    Column("units", MoneyUnits),
    Column("asset", Text),
    Column("on_date", Date),
    Column("merchant", Text),
    _id("added_by"),
    _at("created_at"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "file_id"),
    _to("stored_file", "file_id", gone_with=True),
    _to("record", "record_id"),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"]),
    CheckConstraint("(units is null) = (asset is null) and units > 0", name="units"),
    CheckConstraint("length(merchant) between 1 and 200", name="merchant"),
    Index(None, "tenant_id", "record_id"),
    Index(None, "tenant_id", "created_at"),
)

# --- budgets and goals ---

budget = Table(
    "budget",
    metadata,
    _tenant(),
    _id(),
    Column("name", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("rollover", Text, nullable=False),
    Column("asset", Text, nullable=False),
    # First day of the first period that counts.
    Column("starts_on", Date, nullable=False),
    _id("created_by"),
    _at("created_at"),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id"], [f"{SCHEMA}.tenant.tenant_id"]),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"]),
    _one_of("period", "WEEKLY", "MONTHLY", "YEARLY"),
    _one_of("rollover", "none", "surplus", "all"),
    CheckConstraint("length(name) between 1 and 200", name="name"),
    CheckConstraint("length(category) between 1 and 200", name="category"),
)

# What may be spent in each period from that day on, until a later row.
budget_limit = Table(
    "budget_limit",
    metadata,
    _tenant(),
    _id("budget_id"),
    Column("since", Date, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    _at(),
    PrimaryKeyConstraint("tenant_id", "budget_id", "since"),
    _to("budget", "budget_id", gone_with=True),
    CheckConstraint("units > 0", name="units"),
)

# The key is what makes a level of a period be told once.
budget_alert = Table(
    "budget_alert",
    metadata,
    _tenant(),
    _id("budget_id"),
    Column("since", Date, nullable=False),
    Column("level", SmallInteger, nullable=False),
    # What was spent, and what could be, as it was then.
    Column("units", MoneyUnits, nullable=False),
    Column("available", MoneyUnits, nullable=False),
    _at(),
    PrimaryKeyConstraint("tenant_id", "budget_id", "since", "level"),
    _to("budget", "budget_id", gone_with=True),
    CheckConstraint("level between 1 and 100", name="level"),
)

goal = Table(
    "goal",
    metadata,
    _tenant(),
    _id(),
    Column("name", Text, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    Column("asset", Text, nullable=False),
    Column("by_date", Date),
    _id("created_by"),
    _at("created_at"),
    # When it was first seen reached.
    Column("reached_at", INSTANT),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id"], [f"{SCHEMA}.tenant.tenant_id"]),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"]),
    CheckConstraint("length(name) between 1 and 200", name="name"),
    CheckConstraint("units > 0", name="units"),
)

# So much of what an account holds is meant for the goal; of all goals together it may be more than
# there is.
goal_share = Table(
    "goal_share",
    metadata,
    _tenant(),
    _id("goal_id"),
    _id("account_id"),
    Column("percent", SmallInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "goal_id", "account_id"),
    _to("goal", "goal_id", gone_with=True),
    _to("account", "account_id"),
    CheckConstraint("percent between 1 and 100", name="percent"),
)

# What somebody said of a recurring payment, which is found anew each time.
recurring_verdict = Table(
    "recurring_verdict",
    metadata,
    _tenant(),
    _id(),
    Column("verdict", Text, nullable=False),
    _id("said_by"),
    _at("said_at"),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id"], [f"{SCHEMA}.tenant.tenant_id"]),
    _one_of("verdict", "confirmed", "ignored"),
)

# --- rules ---

rule_group = Table(
    "rule_group",
    metadata,
    _tenant(),
    _id(),
    Column("name", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("stop", Boolean, nullable=False),
    _at("created_at"),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "name"),
    CheckConstraint("length(name) between 1 and 200", name="name"),
)

rule = Table(
    "rule",
    metadata,
    _tenant(),
    _id(),
    Column("group_id", Uuid),
    Column("name", Text, nullable=False),
    Column("condition", JSONB, nullable=False),
    Column("actions", JSONB, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("continues", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    _at("created_at"),
    Column("hits", BigInteger, nullable=False, server_default="0"),
    Column("last_hit_at", INSTANT),
    Column("overridden", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("tenant_id", "id"),
    _to("rule_group", "group_id"),
    CheckConstraint("length(name) between 1 and 200", name="name"),
)

# Rules over records that were there already. It has the rules as they were when it was asked for.
rule_run = Table(
    "rule_run",
    metadata,
    _tenant(),
    _id(),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("wanted", JSONB, nullable=False),
    Column("rules", JSONB, nullable=False),
    # How far it is: the last record that it went over.
    Column("last_id", Uuid),
    Column("examined", BigInteger, nullable=False, server_default="0"),
    Column("matched", BigInteger, nullable=False, server_default="0"),
    Column("changed", BigInteger, nullable=False, server_default="0"),
    Column("locked", BigInteger, nullable=False, server_default="0"),
    Column("restored", BigInteger, nullable=False, server_default="0"),
    Column("kept", BigInteger, nullable=False, server_default="0"),
    Column("asked_by", Uuid, nullable=False),
    _at(),
    PrimaryKeyConstraint("tenant_id", "id"),
    _one_of("state", "waiting", "done", "undoing", "undone"),
)

# A field that a run changed, exactly, or left because a person had set it; and what became of it
# when the run was undone.
rule_change = Table(
    "rule_change",
    metadata,
    _tenant(),
    _id("run_id"),
    _id("record_id"),
    Column("field", Text, nullable=False),
    _id("rule_id"),
    Column("before", JSONB, nullable=False),
    Column("after", JSONB, nullable=False),
    Column("kind", Text, nullable=False),
    PrimaryKeyConstraint("tenant_id", "run_id", "record_id", "field"),
    _to("rule_run", "run_id"),
    _one_of("kind", "changed", "locked", "restored", "kept"),
)

# --- models ---

# One question to a language model: reserved before it is asked, settled after. Ids, and no text.
model_use = Table(
    "model_use",
    metadata,
    _tenant(),
    _id(),
    _id("user_id"),
    # The day whose budget it is of, UTC.
    Column("on_date", Date, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("subjects", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="sending"),
    Column("reserved", BigInteger, nullable=False),
    Column("model", Text, nullable=False, server_default=""),
    Column("tokens_in", BigInteger, nullable=False, server_default="0"),
    Column("tokens_out", BigInteger, nullable=False, server_default="0"),
    # Millionths of the currency that the provider bills in.
    Column("cost_micros", BigInteger, nullable=False, server_default="0"),
    _at(),
    Column("settled_at", INSTANT),
    PrimaryKeyConstraint("tenant_id", "id"),
    _one_of("state", "sending", "answered", "failed"),
    CheckConstraint("least(reserved, tokens_in, tokens_out, cost_micros) >= 0", name="counts"),
    CheckConstraint("(state = 'sending') = (settled_at is null)", name="settled"),
    Index(None, "tenant_id", "on_date"),
)

# A text of the tenant's as a vector. Vectors of two models are of two spaces and never compared.
embedding = Table(
    "embedding",
    metadata,
    _tenant(),
    Column("model", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("dimension", SmallInteger, nullable=False),
    Column("vector", Vector, nullable=False),
    _at(),
    PrimaryKeyConstraint("tenant_id", "model", "key"),
    CheckConstraint("vector_dims(vector) = dimension", name="dimension"),
)

# --- portfolio ---

# An account of the ledger, and where in the world it is. Institutions are part of the release.
portfolio_account = Table(
    "portfolio_account",
    metadata,
    _tenant(),
    _id("account_id"),
    Column("institution", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    _id("owner"),
    Column("hidden", Boolean, nullable=False, server_default="false"),
    _at("created_at"),
    PrimaryKeyConstraint("tenant_id", "account_id"),
    _to("account", "account_id"),
    UniqueConstraint("tenant_id", "institution", "name"),
    CheckConstraint("length(name) between 1 and 100", name="name"),
)

# One thing that happened to holdings. Never changed: what was wrong has an end, and maybe another
# in its place.
activity = Table(
    "activity",
    metadata,
    _tenant(),
    _id(),
    _id("account_id"),
    Column("kind", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    Column("at", INSTANT, nullable=False),
    # Of one whole, as it was told.
    Column("price", UnitPrice),
    Column("quote", Text),
    Column("counter_units", MoneyUnits),
    Column("counter_asset", Text),
    Column("fee_units", MoneyUnits),
    Column("fee_asset", Text),
    Column("tax_units", MoneyUnits),
    Column("tax_asset", Text),
    Column("settled", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("external_id", Text),
    Column("note", Text, nullable=False),
    Column("entry_id", Uuid),
    Column("import_id", Uuid),
    _id("created_by"),
    _at(),
    PrimaryKeyConstraint("tenant_id", "id"),
    # Nulls are distinct: what was entered by hand has no id of a source.
    UniqueConstraint("tenant_id", "account_id", "source", "external_id"),
    _to("portfolio_account", "account_id", key="account_id"),
    _to("entry", "entry_id"),
    _one_of("kind", "buy", "sell", "deposit", "withdraw", "transfer_in", "transfer_out", "swap_in",
            "swap_out", "fee", "tax", "reward", "interest", "dividend", "airdrop",
            "opening_balance", "split", "unknown"),
    CheckConstraint("(price is null) = (quote is null)", name="quote"),
    CheckConstraint("(counter_units is null) = (counter_asset is null)", name="counter"),
    CheckConstraint("(fee_units is null) = (fee_asset is null)", name="fee"),
    CheckConstraint("(tax_units is null) = (tax_asset is null)", name="tax"),
    CheckConstraint("length(note) <= 1000", name="note"),
    Index(None, "tenant_id", "at", "id"),
)  # fmt: skip

# An activity was corrected or deleted; the key is what makes it end once.
activity_end = Table(
    "activity_end",
    metadata,
    _tenant(),
    _id("activity_id"),
    Column("replaced_by", Uuid),
    # The reversal; null where the activity had moved nothing.
    Column("entry_id", Uuid),
    _id("ended_by"),
    _at(),
    PrimaryKeyConstraint("tenant_id", "activity_id"),
    _to("activity", "activity_id"),
    _to("entry", "entry_id"),
)

# What a person says of a holding: that it counts in totals, or not.
holding_choice = Table(
    "holding_choice",
    metadata,
    _tenant(),
    _id("account_id"),
    Column("asset", Text, nullable=False),
    Column("included", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant_id", "account_id", "asset"),
    _to("portfolio_account", "account_id", key="account_id"),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"]),
)

# How much of an asset somebody saw in an account at that time.
holding_observation = Table(
    "holding_observation",
    metadata,
    _tenant(),
    _id("account_id"),
    Column("asset", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("source", Text, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    _id("observed_by"),
    _at(),
    PrimaryKeyConstraint("tenant_id", "account_id", "asset", "at", "source"),
    _to("portfolio_account", "account_id", key="account_id"),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"]),
    _one_of("source", "sync-capture", "statement-close", "screenshot", "user-entered",
            "manual-correction"),
)  # fmt: skip

# A thing of the tenant's own: a flat, a share of a firm. Its id is global, its name is not.
own_asset = Table(
    "own_asset",
    metadata,
    _tenant(),
    Column("asset", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("quote", Text, nullable=False),
    _id("created_by"),
    _at("created_at"),
    PrimaryKeyConstraint("tenant_id", "asset"),
    UniqueConstraint("tenant_id", "name"),
    ForeignKeyConstraint(["tenant_id"], [f"{SCHEMA}.tenant.tenant_id"]),
    ForeignKeyConstraint(["asset"], [f"{SCHEMA}.asset.id"]),
    ForeignKeyConstraint(["quote"], [f"{SCHEMA}.asset.id"], name="own_asset_quote_fkey"),
    CheckConstraint("length(name) between 1 and 200", name="name"),
)

# Its prices. A correction is a further revision; the highest holds.
own_price = Table(
    "own_price",
    metadata,
    _tenant(),
    Column("asset", Text, nullable=False),
    Column("quote", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("value", Rate, nullable=False),
    Column("reason", Text, nullable=False),
    _id("set_by"),
    _at(),
    PrimaryKeyConstraint("tenant_id", "asset", "quote", "at", "revision"),
    ForeignKeyConstraint(
        ["tenant_id", "asset"], [f"{SCHEMA}.own_asset.tenant_id", f"{SCHEMA}.own_asset.asset"]
    ),
    ForeignKeyConstraint(["quote"], [f"{SCHEMA}.asset.id"], name="own_price_quote_fkey"),
    CheckConstraint("revision > 0", name="revision"),
    CheckConstraint("length(reason) <= 500", name="reason"),
)

# What a scope was worth at the end of a day: made of facts, made anew when they change.
portfolio_day = Table(
    "portfolio_day",
    metadata,
    _tenant(),
    Column("scope", Text, nullable=False),
    # Empty for all of the portfolio, else an institution's or an account's id.
    Column("scope_id", Text, nullable=False),
    Column("base", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("units", MoneyUnits, nullable=False),
    Column("cost", MoneyUnits, nullable=False),
    Column("realised", MoneyUnits, nullable=False),
    Column("holdings", Integer, nullable=False),
    Column("priced", Integer, nullable=False),
    Column("stale", Integer, nullable=False),
    # Of how many it is not known what they cost.
    Column("costless", Integer, nullable=False),
    # Of how many, that are there or were, it is not known what they brought when they were sold.
    Column("gainless", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("tenant_id", "scope", "scope_id", "base", "day"),
    ForeignKeyConstraint(["tenant_id"], [f"{SCHEMA}.tenant.tenant_id"]),
    _one_of("scope", "user", "institution", "account"),
)

# How far the days above are made, and from which facts.
portfolio_history = Table(
    "portfolio_history",
    metadata,
    _tenant(),
    Column("base", Text, nullable=False),
    Column("built_through", Date, nullable=False),
    Column("loads", BigInteger, nullable=False),
    Column("rates", BigInteger, nullable=False),
    _at("built_at"),
    PrimaryKeyConstraint("tenant_id", "base"),
    ForeignKeyConstraint(["tenant_id"], [f"{SCHEMA}.tenant.tenant_id"]),
)

# --- the data provider ---

# What the operator decided about a key that asks sources: how often, and whether at all. Null is no
# limit.
data_plan = Table(
    "data_plan",
    metadata,
    _tenant(),
    _id("key_id"),
    Column("monthly", BigInteger),
    Column("requests", Integer),
    Column("seconds", Integer),
    Column("blocked_at", INSTANT),
    PrimaryKeyConstraint("tenant_id", "key_id"),
    ForeignKeyConstraint(
        ["tenant_id", "key_id"],
        [f"{SCHEMA}.token.tenant_id", f"{SCHEMA}.token.id"],
        ondelete="CASCADE",
    ),
    CheckConstraint("monthly > 0", name="monthly"),
    CheckConstraint("(requests is null) = (seconds is null)", name="window"),
    CheckConstraint("least(requests, seconds) > 0", name="counts"),
)

# What a meter of a key stood at. A meter only goes up: of its readings the highest holds. The key
# may be gone, and what it asked stays.
data_use = Table(
    "data_use",
    metadata,
    _tenant(),
    _id("key_id"),
    Column("on_date", Date, nullable=False),
    Column("source", Text, nullable=False),
    _id("meter"),
    Column("requests", BigInteger, nullable=False),
    # Millionths of a US dollar.
    Column("cost_micros", BigInteger, nullable=False),
    _at(),
    PrimaryKeyConstraint(
        "tenant_id", "key_id", "on_date", "source", "meter", "requests", "cost_micros"
    ),
    ForeignKeyConstraint(["tenant_id"], [f"{SCHEMA}.tenant.tenant_id"]),
    CheckConstraint("requests > 0 and cost_micros >= 0", name="counts"),
    CheckConstraint("length(source) between 1 and 64", name="source"),
    Index(None, "tenant_id", "on_date"),
)

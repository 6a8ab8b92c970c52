"""How often may be asked: counted by all processes together, over the run's own Valkey."""

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial

import pytest
import redis

from finora import Settings
from finora_adapters.compose import Opened
from finora_adapters.redis.asking import Asker
from finora_adapters.redis.limits import Limits, Policy, Use
from finora_web.api.table import ENDPOINTS
from finora_web.limits import DEFAULTS, policies_of
from finora_web.main import build
from identity.persons import Person, Site, an_address
from together import together

Limited = Callable[..., Site]


def an_ip() -> str:
    """Somebody who did not ask before."""
    return ".".join(str(random.randint(1, 250)) for _ in range(4))


@pytest.fixture
def limited(at_home: Settings, opened: Opened, site: Site) -> Limited:
    """The application with other limits, or more proxies in front of it."""

    def make(limits: str, proxies: int = 0) -> Site:
        changed = {"rate_limits": f"all=1000000/60,{limits}", "http_proxies": proxies}
        app = build(at_home.model_copy(update=changed), opened)
        return Site(app, site.finora, site.admin, site.mail)

    return make


# --- the counters ---


@pytest.fixture
def client(opened: Opened) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(opened.redis_url) as client:
        yield client


def take(limits: Limits, *uses: Use) -> int:
    said = limits.asker.ask(limits.question(uses))
    assert said is not None
    return int(said[0])


def passes(before: int, here: int, into: Fraction, most: int) -> bool:
    """Whether one more is let in, `into` of a window of length 1 after it began."""
    return before * (1 - into) + here + 1 <= most


def wanted(before: int, here: int, into: Fraction, most: int) -> Fraction:
    """How much of a window to wait for, found by looking and not by solving."""
    step = Fraction(1, 4_000)
    waited = Fraction(0)
    while True:
        at = into + waited
        windows, place = divmod(at, 1)
        counts = {0: (before, here), 1: (here, 0)}.get(int(windows), (0, 0))
        if passes(*counts, place, most):
            return waited
        waited += step


@pytest.mark.spec("S2-4", partial=True)
def test_the_wait_is_as_long_as_it_must_be_and_no_longer(client: redis.Redis) -> None:
    """Against a model that tries every moment, with counters as any past could have left them."""
    limits = Limits(Asker(client))
    chance = random.Random(7)
    seconds, waits = 40_000, 0
    for number in range(300):
        most = chance.randint(1, 12)
        # No window ever lets in more than the limit.
        before, here = chance.randint(0, most), chance.randint(0, most)
        policy, who = Policy(f"wait{number}", most, seconds), str(random.random())
        now_s, micro = client.time()
        now = now_s * 1000 + micro // 1000
        slot, into = divmod(now, seconds * 1000)
        for back, count in ((1, before), (0, here)):
            key = f"finora:limit:{{{who}}}:{policy.name}:{slot - back}"
            client.set(key, count, px=60_000)
        wait = Fraction(take(limits, Use(policy, who)), seconds * 1000)
        model = wanted(before, here, Fraction(into, seconds * 1000), most)
        # A step of the model, and the moment between two looks at the clock.
        assert abs(wait - model) <= Fraction(2, 4_000), (most, before, here, into)
        waits += wait > 0
    # How many depends on how far the window is, which is the clock's.
    assert waits > 30


@pytest.mark.spec("S4-5", partial=True)
def test_sixteen_threads_get_what_one_would(client: redis.Redis) -> None:
    policy, who = Policy("crowd", 100, 3_600), str(random.random())
    limits = Limits(Asker(client))
    said = together(*[lambda: [take(limits, Use(policy, who)) for _ in range(20)]] * 16)
    let_in = [wait for each in said for wait in each if wait == 0]
    assert len(let_in) == 100


def test_who_is_refused_by_one_limit_uses_up_no_other(client: redis.Redis) -> None:
    limits, who = Limits(Asker(client)), str(random.random())
    small, large = Use(Policy("small", 2, 3_600), who), Use(Policy("large", 5, 3_600), who)
    assert [take(limits, small, large) > 0 for _ in range(9)] == [False] * 2 + [True] * 7
    assert [take(limits, large) > 0 for _ in range(4)] == [False] * 3 + [True]


def test_a_counter_does_not_outlive_its_use(client: redis.Redis) -> None:
    limits, who = Limits(Asker(client)), str(random.random())
    take(limits, Use(Policy("short", 2, 30), who))
    (key,) = client.keys(f"finora:limit:*{who}*")
    assert 0 < client.pttl(key) <= 60_000


# --- the table ---


@pytest.mark.spec("S4-5", partial=True)
@pytest.mark.spec("S0-66", partial=True)
@pytest.mark.spec("S0-65", partial=True)
def test_the_limits_are_those_that_were_promised() -> None:
    said = {name: (each.count, each.seconds) for name, each in DEFAULTS.items()}
    assert said == {
        "auth": (10, 900), "signup": (6, 3_600), "anonymous": (100, 900), "address": (1_200, 60),
        "standard": (120, 60), "strict": (20, 60), "sessions": (10, 60), "payment": (30, 900),
        "ai": (20, 3_600), "pages": (600, 60), "data": (1_200, 60),
    }  # fmt: skip
    by_path = {(each.method, each.path): each.limit for each in ENDPOINTS}
    assert by_path["POST", "/auth/register"] == "signup"
    assert by_path["GET", "/me/sessions"] == by_path["DELETE", "/me/sessions/{session_id}"]
    assert by_path["GET", "/me/sessions"] == "sessions"
    # Whatever can be guessed at, or makes letters, is counted as signing in.
    for (_, path), limit in by_path.items():
        if path.startswith("/auth/") and path not in (
            "/auth/register", "/auth/refresh", "/auth/issuers", "/auth/logout", "/auth/step-up",
        ):  # fmt: skip
            assert limit == "auth", path
    assert by_path["POST", "/auth/step-up"] == "strict"
    assert all(each.limit in DEFAULTS for each in ENDPOINTS)


def test_limits_are_changed_by_name_and_nothing_else_is_taken() -> None:
    found = policies_of("auth=3/60, all=7/8 ,ai=1/2")
    assert (found["auth"].count, found["ai"].seconds, found["ai"].count) == (7, 2, 1)
    # What fails closed does so whatever its numbers.
    assert found["auth"].closed
    for wrong in ("auth", "auth=1", "auth=0/5", "auth=1/0", "auth=-1/5", "none=1/2", "auth=1/2/3",
                  "auth=a/b", "=1/2"):  # fmt: skip
        with pytest.raises(ValueError, match="name=count/seconds"):
            policies_of(wrong)


# --- over HTTP ---


@pytest.mark.spec("S2-4")
@pytest.mark.spec("S4-5", partial=True)
def test_signing_in_is_counted_by_address_and_by_all_processes(limited: Limited) -> None:
    sites = [limited("auth=10/3600") for _ in range(2)]
    address, other = an_ip(), an_ip()
    body = {"email": an_address(), "password": "not the password"}

    def ask(number: int) -> int:
        return (
            sites[number % 2]
            .ask("POST", "/auth/login", body | {"email": an_address()}, address=address)
            .status_code
        )

    statuses = together(*[partial(ask, number) for number in range(32)])
    assert statuses.count(401) == 10
    assert statuses.count(429) == 22
    answer = sites[0].ask("POST", "/auth/letters", {"email": "a@b.example", "kind": "reset"},
                          address=address)  # fmt: skip
    assert (answer.status_code, answer.json["error"]["code"]) == (429, "RATE_LIMITED")
    assert 0 < int(answer.headers["Retry-After"]) <= 7_200
    assert sites[0].ask("POST", "/auth/login", body, address=other).status_code == 401


@pytest.mark.spec("S2-4")
def test_each_person_has_their_own_count_wherever_they_ask_from(
    limited: Limited, ada: Person, bob: Person
) -> None:
    site, address = limited("standard=5/3600"), an_ip()
    mine = [site.ask("GET", "/accounts", token=ada.access, address=an_ip()).status_code
            for _ in range(7)]  # fmt: skip
    assert mine == [200] * 5 + [429] * 2
    theirs = site.ask("GET", "/accounts", token=bob.access, address=address)
    assert theirs.status_code == 200
    # A token is somebody else than its user; another session is not.
    again = ada.again()
    assert site.ask("GET", "/accounts", token=again.access, address=address).status_code == 429
    token = ada.post("/tokens", {"name": "key"}, 201)["text"]
    assert site.ask("GET", "/accounts", token=token, address=address).status_code == 200


@pytest.mark.spec("S2-4")
def test_an_endpoint_has_its_own_count(limited: Limited, ada: Person) -> None:
    site = limited("sessions=2/3600")
    statuses = [site.ask("GET", "/me/sessions", token=ada.access).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert site.ask("GET", "/accounts", token=ada.access).status_code == 200


@pytest.mark.spec("S2-4")
@pytest.mark.parametrize("path", ["/accounts", "/wallet/summary", "/me"])
def test_an_address_has_a_count_of_everything(limited: Limited, ada: Person, path: str) -> None:
    """The backup: many tokens, good or bad, from one place. Cached answers are counted too."""
    site, address = limited("address=6/3600"), an_ip()
    ask = partial(site.ask, "GET", path, address=address)
    assert [ask(token=ada.access).status_code for _ in range(3)] == [200] * 3
    assert [ask(token="fin_wrong").status_code for _ in range(2)] == [401] * 2
    assert ask().status_code == 401
    assert [ask(token=token).status_code for token in (ada.access, None)] == [429] * 2
    assert site.ask("GET", path, token=ada.access, address=an_ip()).status_code == 200


def test_probes_and_what_they_say_are_not_counted(limited: Limited) -> None:
    site, address = limited("address=3/3600,anonymous=3/3600,pages=3/3600"), an_ip()
    client = site.app.test_client()
    for path in ("/live", "/ready", "/health", "/metrics", "/openapi.json"):
        for _ in range(10):
            answer = client.get(path, environ_base={"REMOTE_ADDR": address})
            assert answer.status_code == 200, path


# --- whose address it is ---


@pytest.mark.spec("S2-4", partial=True)
@pytest.mark.parametrize(
    ("proxies", "said", "counted"),
    [
        # Without a proxy of ours anybody may write what they like.
        (0, "{ip}", "peer"), (0, "{ip}, 1.1.1.1", "peer"),
        # With one, its own word is the last.
        (1, "{ip}", "{ip}"), (1, "1.2.3.4, {ip}", "{ip}"), (1, "1.2.3.4,5.6.7.8 ,{ip}", "{ip}"),
        (1, None, "peer"), (1, "", "peer"),
        (2, "1.2.3.4, {ip}, 10.0.0.1", "{ip}"), (2, "{ip}, 10.0.0.1", "{ip}"),
        # Less than our proxies would write did not come through them.
        (2, "{ip}", "peer"),
    ],
)  # fmt: skip
def test_a_header_names_the_address_as_far_as_our_own_proxies_wrote_it(
    limited: Limited, proxies: int, said: str | None, counted: str
) -> None:
    site, ip, peer = limited("auth=2/3600", proxies), an_ip(), an_ip()
    headers = {} if said is None else {"X-Forwarded-For": said.format(ip=ip)}

    def ask(headers: dict[str, str], address: str) -> int:
        body = {"email": an_address(), "password": "not the password"}
        return site.ask("POST", "/auth/login", body, headers=headers, address=address).status_code

    assert [ask(headers, peer) for _ in range(3)] == [401, 401, 429]
    # Whoever is counted there is counted there by every other way too.
    direct = {"X-Forwarded-For": ", ".join([ip, *["10.0.0.9"] * (proxies - 1)])} if proxies else {}
    expected = 429 if counted == "{ip}" else 401
    if proxies:
        assert ask(direct, an_ip()) == expected
    forged = {"X-Forwarded-For": ", ".join([an_ip()] * 3 + [headers.get("X-Forwarded-For", "")])}
    if proxies == 0:
        assert ask(forged, peer) == 429
        assert ask(headers, an_ip()) == 401


def test_a_household_of_ipv6_is_one(limited: Limited) -> None:
    site = limited("auth=2/3600")
    prefix = f"2001:db8:{random.randint(1, 0xFFFF):x}:{random.randint(1, 0xFFFF):x}"
    body = {"email": an_address(), "password": "not the password"}

    def ask(address: str) -> int:
        return site.ask("POST", "/auth/login", body, address=address).status_code

    assert [ask(f"{prefix}::{n}") for n in (1, 2, 3)] == [401, 401, 429]
    assert ask(f"{prefix[:-1]}0::1" if prefix[-1] != "0" else f"{prefix[:-1]}1::1") == 401
    # The same address, written as one of IPv6.
    ip = an_ip()
    assert [ask(ip), ask(f"::ffff:{ip}"), ask(ip)] == [401, 401, 429]


@pytest.mark.spec("S2-46", partial=True)
def test_a_model_is_asked_twenty_times_an_hour(client: redis.Redis) -> None:
    """Each person alone; and no question waits for Redis to come back."""
    policy = DEFAULTS["ai"]
    assert (policy.count, policy.seconds, policy.closed) == (20, 3_600, False)
    limits, who = Limits(Asker(client)), f"user-{random.random()}"
    waits = [take(limits, Use(policy, who)) for _ in range(21)]
    # Near the end of an hour some would be counted in the next one.
    assert waits[:20] == [0] * 20 and 0 < waits[20] <= 2 * 3_600_000
    assert take(limits, Use(policy, f"{who}-2")) == 0

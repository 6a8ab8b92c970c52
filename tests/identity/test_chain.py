"""What a request passes before anything is done, in which order; the headers of every answer."""

from itertools import pairwise
from typing import Any

import attrs
import pytest
from flask import Response as FlaskResponse

from finora import Settings
from finora_adapters.compose import Opened
from finora_core.identity.roles import PERMISSIONS, PlatformRole, Role, of_member, of_person
from finora_web.api.table import ENDPOINTS
from finora_web.app import Shell, create_app
from finora_web.main import build
from identity.persons import ROOT, Person, Site
from identity.test_limits import Limited, an_ip, limited

__all__ = ["limited"]
ORIGIN = {"Origin": "https://front.example"}


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["error"]["code"]


@pytest.mark.spec("S2-2")
def test_the_stages_come_in_their_order(
    limited: Limited, at_home: Settings, opened: Opened, ada: Person, bob: Person
) -> None:
    """Each request fails two stages at once; what it is told is the earlier one."""
    business = ada.business()
    ada.takes_in(business, bob, "viewer")
    site = limited("standard=3/3600")
    bad: dict[str, Any] = {"name": 5}

    def ask(token: str | None, body: Any = bad, **more: Any) -> Any:
        return site.ask("POST", "/accounts", body, token=token, tenant=business, **more)

    before = site.sql("select count(*) from finora.event")
    # Token before limits, role and schema.
    for _ in range(5):
        assert code(ask("x")) == (401, "TOKEN_INVALID")
    assert code(ask(None)) == (401, "TOKEN_INVALID")
    # Role before schema.
    assert code(ask(bob.access)) == (403, "PERMISSION_MISSING")
    # Schema before logic: the account's name is looked for by nothing yet.
    assert code(ask(ada.access)) == (400, "VALIDATION")
    # Limits before role and schema; what was refused later was counted.
    for _ in range(2):
        ask(bob.access), ask(ada.access)
    assert code(ask(bob.access)) == code(ask(ada.access)) == (429, "RATE_LIMITED")
    assert code(ask(ada.access, {"name": "Giro"})) == (429, "RATE_LIMITED")
    assert site.sql("select count(*) from finora.event") == before
    # Not a member is told before limits: it is part of who asks.
    stranger = site.register()
    assert code(ask(stranger.access)) == (403, "NOT_A_MEMBER")


@pytest.mark.spec("S2-2")
@pytest.mark.spec("S2-3")
def test_every_answer_has_the_security_headers_whoever_is_refused_where(
    limited: Limited, at_home: Settings, opened: Opened, ada: Person, bob: Person
) -> None:
    site, address = limited("strict=1/3600,auth=1/3600"), an_ip()
    client = site.app.test_client()

    def asked(method: str, path: str, **more: Any) -> Any:
        more.setdefault("environ_base", {"REMOTE_ADDR": address})
        more["headers"] = {"Authorization": f"Bearer {ada.access}"} | more.get("headers", {})
        return client.open(path, method=method, **more)

    answers = {
        200: asked("GET", ROOT + "/me"),
        201: asked("POST", ROOT + "/accounts", json={"name": "Giro"}),
        202: asked("POST", ROOT + "/auth/letters", json={"email": "a@b.example", "kind": "code"}),
        204: asked("OPTIONS", ROOT + "/me", headers={"Access-Control-Request-Method": "GET"}),
        303: client.get("/"),
        400: asked("POST", ROOT + "/accounts", json={}),
        401: asked("GET", ROOT + "/me", headers={"Authorization": "Bearer x"}),
        403: asked("GET", ROOT + "/people"),
        404: asked("GET", "/nothing/there"),
        405: asked("PUT", ROOT + "/me"),
        409: asked("POST", ROOT + "/accounts", json={"name": "Giro"}),
        413: asked("POST", ROOT + "/accounts", data=b"x" * 100_000,
                   content_type="application/json"),
        415: asked("POST", ROOT + "/accounts", data=b"x", content_type="text/plain"),
        429: asked("POST", ROOT + "/auth/letters", json={"email": "a@b.example", "kind": "code"}),
    }  # fmt: skip
    for status, answer in answers.items():
        assert answer.status_code == status, (status, answer.text)
        headers = answer.headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Request-Id"]
        assert "Strict-Transport-Security" not in headers
        # An origin that nobody named may read nothing.
        assert not [name for name in dict(headers) if name.startswith("Access-Control")]
    shell: Shell = site.app.config["SHELL"]
    produced = create_app(attrs.evolve(shell, production=True))

    def fails() -> FlaskResponse:
        raise RuntimeError("a fault of ours")

    produced.add_url_rule("/fails", "fails", fails)
    for path, status in (("/live", 200), (ROOT + "/me", 401), ("/nothing", 404), ("/fails", 500)):
        answer = produced.test_client().get(path)
        assert answer.status_code == status
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.spec("S2-2", partial=True)
def test_a_page_of_a_named_site_may_name_tenant_and_device(
    at_home: Settings, opened: Opened
) -> None:
    app = build(at_home.model_copy(update={"http_origins": ORIGIN["Origin"]}), opened)
    asked = ORIGIN | {"Access-Control-Request-Method": "POST"}
    preflight = app.test_client().options(f"{ROOT}/accounts", headers=asked)
    allowed = set(preflight.headers["Access-Control-Allow-Headers"].split(", "))
    assert {"Authorization", "X-Tenant-Id", "X-Device", "Idempotency-Key"} <= allowed


# --- roles ---


@pytest.mark.spec("S2-5")
@pytest.mark.spec("S3-3", partial=True)
@pytest.mark.spec("S4-12", partial=True)
def test_every_route_needs_its_permission_and_no_role_passes_without(
    site: Site, at_home: Settings
) -> None:
    """All routes by all roles: 403 exactly where the table says no. Permission comes before what
    is asked, so nothing needs to be there."""
    owner, admin = site.verified(), site.make_admin(site.verified())
    business = owner.business()
    people: dict[str, Person] = {"owner": owner}
    for role in Role:
        if role is not Role.OWNER:
            people[role] = site.verified()
            owner.takes_in(business, people[role], role)
    for platform in PlatformRole:
        if platform is not PlatformRole.ADMIN:
            people[platform] = site.verified()
            body = {"roles": [platform.value]}
            admin.post(f"/people/{people[platform].user_id}/roles", body)
    asked = 0
    nobody = "00000000-0000-7000-8000-000000000000"
    for endpoint in ENDPOINTS:
        if endpoint.permission is None or endpoint.path in ("/auth/logout", "/members/leave"):
            continue
        path = endpoint.path
        for name in endpoint.parameters:
            path = path.replace(f"{{{name}}}", nobody)
        for name, person in people.items():
            of_tenant = name in set(Role)
            role = Role(name) if of_tenant else Role.OWNER
            also = () if of_tenant else (PlatformRole(name),)
            may = endpoint.permission in of_person(role, also)
            # What would be done is never done: a parameter that no route knows.
            answer = person.ask(
                endpoint.method, path, tenant=business if of_tenant else None,
                query={"nothing": "x"},
            )  # fmt: skip
            missing = answer.status_code == 403 and answer.json["error"]["code"] == (
                "PERMISSION_MISSING"
            )
            assert missing is not may, (name, endpoint.method, path, answer.text)
            assert answer.status_code >= 400
            asked += 1
    assert asked > 300


@pytest.mark.spec("S4-81", partial=True)
@pytest.mark.spec("S4-12", partial=True)
def test_the_table_says_who_checks_pauses_and_decides() -> None:
    def escrow(role: PlatformRole) -> set[str]:
        found = of_person(None, (role,))
        return {each.partition(":")[2] for each in found if each.startswith("escrow:")}

    assert escrow(PlatformRole.GUARD) == {"confirm", "hold", "pause"}
    assert escrow(PlatformRole.RESOLVER) == {"hold", "resolve"}
    assert escrow(PlatformRole.ADMIN) == {"confirm", "hold", "pause", "resolve"}
    assert escrow(PlatformRole.BUYER) == escrow(PlatformRole.SELLER) == set()
    admin = of_person(None, (PlatformRole.ADMIN,))
    for role in PlatformRole:
        assert of_person(None, (role,)) <= admin
    # Above the roles of a tenant is the owner alone, and each has all that the one below it has.
    ladder = [of_member(role) for role in (Role.VIEWER, Role.ACCOUNTANT, Role.ADMIN, Role.OWNER)]
    assert all(low < high for low, high in pairwise(ladder))
    # No role of a tenant gives anything on the platform.
    assert not any(each.startswith(("people:", "platform:", "escrow:")) for each in ladder[-1])
    assert {each.permission for each in ENDPOINTS} - {None} <= PERMISSIONS

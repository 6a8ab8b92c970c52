"""What administrators do, and what they cannot."""

import pytest

from identity.persons import PASSWORD, Person, Site, an_address
from together import together


@pytest.fixture
def boss(site: Site) -> Person:
    return site.make_admin(site.verified())


@pytest.mark.spec("S2-50", partial=True)
def test_who_is_banned_neither_comes_in_nor_stays(site: Site, boss: Person, ada: Person) -> None:
    path = f"/people/{ada.user_id}/ban"
    first = boss.post(path)
    assert first["banned_at"]
    assert boss.post(path)["banned_at"] == first["banned_at"]
    answer = site.login(ada.email)
    assert (answer.status_code, answer.json["error"]["code"]) == (403, "ACCOUNT_BANNED")
    # Only who knows the password learns of it.
    assert site.login(ada.email, "not the password").json["error"]["code"] == "CREDENTIALS_INVALID"
    refreshed = ada.refreshed()
    assert (refreshed.status_code, refreshed.json["error"]["code"]) == (403, "ACCOUNT_BANNED")
    assert ada.refused("GET", "/me")[0] in (401, 403)
    assert boss.post(f"/people/{ada.user_id}/unban")["banned_at"] is None
    # What ended stays ended.
    assert ada.refused("GET", "/me")[0] == 401
    assert ada.refreshed().status_code == 401
    assert site.login(ada.email).status_code == 200


@pytest.mark.spec("S2-50", partial=True)
def test_an_administrator_unlocks(site: Site, boss: Person, ada: Person) -> None:
    for device in (None, ada.device):
        for _ in range(5):
            site.login(ada.email, "not the password", **({"device": device} if device else {}))
        more = {"device": device} if device else {}
        assert site.login(ada.email, **more).status_code == 423
    boss.post(f"/people/{ada.user_id}/unlock")
    assert site.login(ada.email).status_code == 200
    assert site.login(ada.email, device=ada.device).status_code == 200
    for _ in range(4):
        assert site.login(ada.email, "not the password").status_code == 401


def test_people_are_listed_and_found_by_pages(site: Site, boss: Person) -> None:
    mark = an_address().partition("@")[0][:12]
    people = [site.register(f"{mark}.{n}@example.org") for n in range(5)]
    for n, person in enumerate(people):
        person.ask("PATCH", "/me", {"name": f"{mark} {n} 100% _x_"})
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = boss.ask("GET", "/people", query={"words": mark, "limit": 2} | cursor)
        found += [each["user_id"] for each in answer.json["data"]]
        if answer.json["page"]["next"] is None:
            break
        cursor = {"cursor": answer.json["page"]["next"]}
    assert found == [each.user_id for each in people]
    # What looks like a pattern, or like SQL, is words.
    for words, count in ((f"{mark} 3 100% _x_", 1), (f"{mark}%", 0), (f"{mark}'", 0),
                         (f"{mark} _ ", 0), (mark.upper(), 5), ("' or true --", 0)):  # fmt: skip
        listed = boss.get("/people", query={"words": words})
        assert len(listed) == count, words
    assert PASSWORD not in answer.text
    assert "argon2" not in answer.text


@pytest.mark.spec("S2-5", partial=True)
def test_administrators_are_beyond_each_other(site: Site, boss: Person, ada: Person) -> None:
    other = site.make_admin(site.verified())
    for act in ("ban", "unban", "reset"):
        assert boss.refused("POST", f"/people/{other.user_id}/{act}") == (403, "ADMIN_PROTECTED")
        assert boss.refused("POST", f"/people/{boss.user_id}/{act}") == (403, "ADMIN_PROTECTED")
    roles = {"roles": ["admin"]}
    assert boss.refused("POST", f"/people/{ada.user_id}/roles", roles) == (403, "ADMIN_PROTECTED")
    none = {"roles": []}
    assert boss.refused("POST", f"/people/{other.user_id}/roles", none) == (
        403, "ADMIN_PROTECTED",
    )  # fmt: skip
    nobody = "00000000-0000-7000-8000-000000000000"
    assert boss.refused("POST", f"/people/{nobody}/ban") == (404, "PERSON_NOT_FOUND")
    for path in ("/people", f"/people/{boss.user_id}/ban"):
        method = "GET" if path == "/people" else "POST"
        assert ada.refused(method, path) == (403, "PERMISSION_MISSING")


def test_a_ban_and_a_sign_in_at_once_leave_nobody_in(site: Site, boss: Person) -> None:
    for _ in range(5):
        person = site.register()
        *entered, banned = together(
            *[lambda: site.login(person.email)] * 6,  # noqa: B023  # done before the next
            lambda: boss.ask("POST", f"/people/{person.user_id}/ban"),  # noqa: B023  # as above
        )
        assert banned.status_code == 200
        assert {each.status_code for each in entered} <= {200, 403}
        for answer in entered:
            if answer.status_code == 200:
                token = answer.json["data"]["access_token"]
                assert person.ask("GET", "/me", token=token).status_code in (401, 403)
        alive = site.sql(
            "select count(*) from finora.session where user_id = :id and ended_at is null",
            id=person.user_id,
        )
        assert alive == [(0,)]


def test_a_new_password_and_a_sign_in_with_the_old_one_at_once(site: Site) -> None:
    for _ in range(5):
        person = site.verified()
        body = {"password": "staple of the battery"}
        *entered, changed = together(
            *[lambda: site.login(person.email)] * 6,  # noqa: B023  # done before the next
            lambda: person.ask("POST", "/me/password", body),  # noqa: B023  # as above
        )
        assert changed.status_code == 200
        for answer in entered:
            if answer.status_code == 200:
                token = answer.json["data"]["access_token"]
                assert person.ask("GET", "/me", token=token).status_code == 401
        assert person.get("/me")

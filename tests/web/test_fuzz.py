"""Random requests of every part: good and bad ones, single and in sequences, with ids of things
that are there and that are not. No fault, no status or body that the document does not say, no bad
request taken, and no good one refused as if it were not written right.

FUZZ_CASES=200 tries that many of every operation and phase; FUZZ_PARTS=owner,viewer whose.
"""

import json
import os
import random
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import attrs
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.hooks import unregister

from finora_web.api.table import ENDPOINTS
from web.api import Api
from web.callers import Cast, Person
from web.catalogue import BY_NAME, World

CASES = int(os.environ.get("FUZZ_CASES", "0"))
PARTS = os.environ.get("FUZZ_PARTS", "")
# Cases of each operation in a phase, where nobody says: the least of them see what they may not.
USUAL = {"owner": 4, "admin": 1, "accountant": 1, "viewer": 1, "platform admin": 1,
         "platform guard": 1, "token": 2, "scoped token": 1, "nobody": 2}  # fmt: skip
# What a schema cannot say, and is refused as not right in itself. To JSON Schema 7.0 is an integer.
SEMANTIC = ("a limit needs its asset", "answers", "the body is not JSON", "be a valid integer")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


@attrs.define
class Asker:
    """One part that goes on asking, whatever it does to itself: who signed out signs in again, who
    left comes back, and proves anew who it is."""

    cast: Cast
    name: str
    api: Api = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.api = self.cast.callers[self.name]

    @property
    def person(self) -> Person | None:
        return self.cast.people.get(self.name)

    def after(self, code: str) -> None:
        person, people = self.person, self.cast.owner.people
        if person is None:
            return
        tenant_id = self.cast.owner.tenant_id
        if code == "TOKEN_INVALID":
            self.api = attrs.evolve(self.api, token=people.open(person).access)
        elif code == "NOT_A_MEMBER":
            people.write(
                "insert into finora.membership (tenant_id, user_id, role) "
                "values (:tenant, :user, :role) on conflict do nothing",
                tenant=tenant_id, user=person.user_id, role=self.role,
            )  # fmt: skip
        elif code == "STEP_UP_REQUIRED":
            people.write("update finora.session set proven_at = now() where user_id = :user",
                         user=person.user_id)  # fmt: skip

    @property
    def role(self) -> str:
        return "viewer" if self.name.startswith("platform") else self.name


@pytest.mark.spec("S2-7", partial=True)
@pytest.mark.spec("S2-1", partial=True)
@pytest.mark.invariant("I-55")
@pytest.mark.timeout(7_200 if CASES else 300)
@pytest.mark.parametrize("name", PARTS.split(",") if PARTS else USUAL)
def test_random_requests_are_answered_as_the_document_says(world: World, name: str) -> None:
    cases = CASES or USUAL[name]
    cast = Cast.of(world.owner, [name])
    asker = Asker(cast, name)
    config = SchemathesisConfig.from_dict({
        "seed": 20_261_121,
        "generation": {"max-examples": cases, "deterministic": True, "database": "none",
                       "with-security-parameters": False},
        "phases": {
            "coverage": {"enabled": name == "owner" or bool(CASES)},
            "stateful": {"enabled": name == "owner" or bool(CASES)},
        },
        # Its probe does not work in process; test_every_route asks every route without a token.
        "checks": {"ignored_auth": {"enabled": False}},
    })  # fmt: skip
    schema = schemathesis.openapi.from_wsgi("/openapi.json", world.people.app, config=config)
    draw = random.Random(7)
    samples = {
        (each.name, parameter): world.sample(each.name, parameter)
        for each in ENDPOINTS
        for parameter in each.parameters
    }
    tenant = str(cast.owner.tenant_id)

    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        """Who asks, where; and half of the time about something that is there."""
        if asker.api.token is not None:
            case.headers["Authorization"] = f"Bearer {asker.api.token}"
        named = case.headers.get("X-Tenant-Id")
        if asker.api.tenant is not None and (named is None or _UUID.fullmatch(str(named))):
            case.headers["X-Tenant-Id"] = tenant
        for each, value in (case.path_parameters or {}).items():
            known = samples.get((case.operation.definition.raw["operationId"], each))
            if known is not None and _UUID.fullmatch(str(value)) and draw.random() < 0.5:
                case.path_parameters[each] = known

    def after_call(context: Any, case: Any, response: Any) -> None:
        if response.status_code in (401, 403):
            asker.after(response.json()["error"]["code"])

    asked, operations, failures = 0, set(), []
    codes: set[int] = set()
    for event in run(schema, before_call, after_call):
        match event:
            case events.ScenarioFinished(recorder=recorder):
                asked += len(recorder.cases)
                operations |= {each.value.operation.label for each in recorder.cases.values()}
                for case_id, checks in recorder.checks.items():
                    answer = recorder.interactions[case_id].response
                    said = "" if answer is None else answer.content.decode("utf-8", "replace")
                    codes |= {answer.status_code} if answer is not None else set()
                    failures += [
                        f"{check.failure_info.failure}\n{check.failure_info.code_sample}\n{said}"
                        for check in checks
                        if check.failure_info is not None and not allowed(check.name, said)
                    ]
            case events.NonFatalError(label=label, value=value):
                failures.append(f"{label}: {value!r}")
            case events.FatalError(exception=value):
                failures.append(repr(value))
    assert not failures, "\n\n".join(dict.fromkeys(failures))
    assert len(operations) == len(ENDPOINTS)
    assert asked >= len(ENDPOINTS)
    assert codes >= (
        {200, 201, 400, 404} if name == "owner" else {200, 401 if name == "nobody" else 403}
    )
    print(f"{name}: {asked} requests")


def run(schema: Any, *hooks: Callable[..., None]) -> Iterator[Any]:
    """With the hooks, which are the process's while it runs."""
    for each in hooks:
        schemathesis.hook(each)
    try:
        yield from from_schema(schema).execute()
    finally:
        for each in hooks:
            unregister(each)


def allowed(check: str, said: str) -> bool:
    """A request that is written right may still be refused for what it says, and who says it."""
    if check != "positive_data_acceptance":
        return False
    error = json.loads(said)["error"]
    return error["code"] != "VALIDATION" or any(word in error["message"] for word in SEMANTIC)


def test_every_id_of_a_path_has_a_sample(world: World) -> None:
    for endpoint in ENDPOINTS:
        for parameter in endpoint.parameters:
            assert UUID(world.sample(endpoint.name, parameter))
            assert BY_NAME[endpoint.name] is endpoint

"""docs/identity.md says what the code does."""

import re
from pathlib import Path

from finora_adapters.postgres.belongings import EXPORTED, KEPT_BACK
from finora_core.identity.roles import BY_PLATFORM_ROLE, BY_ROLE, TENANT, PlatformRole, Role

PAGE = (Path(__file__).parents[2] / "docs" / "identity.md").read_text()


def table(head: str) -> list[list[str]]:
    """The rows of the table with that head."""
    lines = PAGE.split(f"{head}\n", 1)[1].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(cell: str) -> set[str]:
    return set(re.findall("`([^`]+)`", cell))


def test_the_table_of_a_tenants_roles_is_the_codes() -> None:
    roles = [Role.OWNER, Role.ADMIN, Role.ACCOUNTANT, Role.VIEWER]
    said = {
        names(permission).pop(): {role for role, may in zip(roles, cells, strict=True) if may}
        for permission, *cells in table("| permission | owner | admin | accountant | viewer |")
    }
    assert said == {each: {role for role in Role if each in BY_ROLE[role]} for each in TENANT}


def test_the_table_of_the_platforms_roles_is_the_codes() -> None:
    said = {PlatformRole(names(role).pop()): names(may) for role, may in table("| role | may |")}
    assert said == dict(BY_PLATFORM_ROLE)


def test_the_tables_of_the_copy_are_the_codes() -> None:
    said = {names(name).pop(): names(hidden) for name, hidden in table("| table | left out |")}
    assert said == EXPORTED
    reasons = {names(name).pop(): why for name, why in table("| table | why not |")}
    assert reasons == KEPT_BACK

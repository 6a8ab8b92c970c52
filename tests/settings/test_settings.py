"""Settings: read once, refused all at once, and nothing meant for a laptop in production."""

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from finora import Finora, Settings
from finora_adapters.settings import BadSettings, from_environment, production_problems

KEYS = "1:" + "0f1e2d3c4b5a69788796a5b4c3d2e1f0" + "00112233445566778899aabbccddeeff"
URL = "postgresql://finora:hunter2@db.example.com/finora"


def problems(environment: dict[str, str]) -> dict[str, str]:
    with pytest.raises(BadSettings) as caught:
        from_environment(environment)
    assert caught.value.code == "BAD_SETTINGS"
    for name, reason in caught.value.details:
        assert f"{name}: {reason}" in caught.value.message
    return dict(caught.value.details)


@pytest.mark.spec("S4-8", partial=True)
def test_nothing_needs_to_be_set_on_a_laptop() -> None:
    settings = from_environment({})
    assert settings.env == "development"
    assert settings.database_url is None
    assert settings.files == settings.data / "files"


@pytest.mark.spec("S4-8", partial=True)
def test_variables_are_read_as_what_they_are() -> None:
    settings = from_environment(
        {"FINORA_ENV": "test", "FINORA_DATA": "/srv/books", "FINORA_POOL_SIZE": "7",
         "FINORA_DATABASE_URL": URL, "FINORA_STORAGE_DIRECTORY": "/srv/files",
         "HOME": "/root", "PGHOST": "elsewhere"}
    )  # fmt: skip
    assert (settings.env, settings.data, settings.pool_size) == ("test", Path("/srv/books"), 7)
    assert settings.files == Path("/srv/files")
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == URL


@pytest.mark.spec("S4-8", partial=True)
def test_every_problem_is_named_at_once() -> None:
    wrong = problems(
        {"FINORA_POOL_SIZE": "many", "FINORA_LOCK_LIMIT_S": "0", "FINORA_ENV": "prod",
         "FINORA_DATABSE_URL": URL, "FINORA_IMPORT_MAX_MB": "1e999"}
    )  # fmt: skip
    assert set(wrong) == {
        "FINORA_POOL_SIZE", "FINORA_LOCK_LIMIT_S", "FINORA_ENV", "FINORA_DATABSE_URL",
        "FINORA_IMPORT_MAX_MB",
    }  # fmt: skip
    assert wrong["FINORA_DATABSE_URL"] == "there is no such setting"


@pytest.mark.parametrize("name", ["FINORA_", "FINORA_POOLSIZE", "FINORA_MODEL_CONFIG", "FINORA_É"])
def test_an_unknown_name_is_refused(name: str) -> None:
    assert list(problems({name: "1"}).values()) == ["there is no such setting"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("POOL_SIZE", "0"), ("POOL_SIZE", "201"), ("POOL_SIZE", "8.5"), ("POOL_SIZE", ""),
     ("POOL_WAIT_S", "61"), ("STATEMENT_LIMIT_S", "-1"), ("JOB_LIMIT_S", "9"),
     ("LOCK_LIMIT_S", "NaN"), ("IMPORT_MAX_LINES", "0"), ("IMPORT_MAX_MB", "16385"),
     ("ENV", "Production"), ("ENV", "")],
)  # fmt: skip
def test_a_value_out_of_bounds_is_refused(name: str, value: str) -> None:
    assert list(problems({f"FINORA_{name}": value})) == [f"FINORA_{name}"]


@pytest.mark.spec("S4-8", partial=True)
def test_production_refuses_what_is_for_a_laptop() -> None:
    wrong = problems({"FINORA_ENV": "production"})
    assert set(wrong) == {
        "FINORA_DATABASE_URL", "FINORA_REDIS_URL", "FINORA_STORAGE_DIRECTORY",
        "FINORA_SECRET_KEYS", "FINORA_MAIL_SMTP_URL", "FINORA_PUBLIC_URL",
    }  # fmt: skip
    assert all("set it" in reason for reason in wrong.values())
    ready = {"FINORA_ENV": "production", "FINORA_DATABASE_URL": URL,
             "FINORA_REDIS_URL": "redis://cache:6379/0", "FINORA_SECRET_KEYS": KEYS,
             "FINORA_STORAGE_DIRECTORY": "/srv/files", "FINORA_MAIL_FROM": "post@example.com",
             "FINORA_MAIL_SMTP_URL": "smtps://mail.example.com",
             "FINORA_PUBLIC_URL": "https://money.example.com"}  # fmt: skip
    assert production_problems(from_environment(ready)) == []
    both = problems({"FINORA_ENV": "production", "FINORA_POOL_SIZE": "0", "FINORA_X": "1"})
    assert set(both) == {*wrong, "FINORA_POOL_SIZE", "FINORA_X"}


@pytest.mark.spec("S4-8", partial=True)
def test_production_refuses_it_however_the_settings_were_given(tmp_path: Path) -> None:
    for open_ in (Finora.open, Finora.migrate):
        with pytest.raises(BadSettings, match="FINORA_DATABASE_URL"):
            open_(Settings(env="production", data=tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_secrets_are_in_no_text(tmp_path: Path) -> None:
    settings = from_environment({"FINORA_DATABASE_URL": URL, "FINORA_DATABASE_DIRECT_URL": URL})
    for text in (repr(settings), str(settings), f"{settings}", settings.model_dump_json(),
                 str(settings.model_dump())):  # fmt: skip
        assert "hunter2" not in text
    with pytest.raises(BadSettings) as caught:
        from_environment({"FINORA_DATABASE_URL": URL, "FINORA_POOL_SIZE": "hunter2"})
    assert "hunter2" not in str(caught.value) + repr(caught.value.details)


def test_settings_are_frozen_and_copied_whole() -> None:
    settings = Settings(database_url=SecretStr(URL))
    with pytest.raises(ValidationError):
        settings.pool_size = 9
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_given_settings_read_no_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FINORA_POOL_SIZE", "FINORA_NO_SUCH_SETTING", "FINORA_DATABASE_URL"):
        monkeypatch.setenv(name, "nonsense")
    assert Settings(data=tmp_path).pool_size == 8
    with pytest.raises(BadSettings):
        from_environment()


@pytest.mark.parametrize("given", [{"pool": 1}, {"env": "staging"}, {"pool_size": "lots"}])
def test_settings_in_code_are_checked_alike(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**given)


@pytest.mark.parametrize(("given", "wrong"), [
    ({"URL": "http://llm.example/v1"}, "URL"),
    ({"URL": "https://u:p@llm.example/v1"}, "URL"),
    ({"URL": "https://llm.example/v1"}, "MODEL"),
    ({"KEY": "sk-x"}, "KEY"),
    ({"KEY": "two words", "URL": "https://llm.example/v1", "MODEL": "m"}, "KEY"),
    ({"PROVIDER": "openai"}, "URL"),
    ({"PROVIDER": "local", "URL": "https://llm.example/v1", "MODEL": "m"}, "URL"),
    ({"PROVIDER": "No Name"}, "PROVIDER"),
    ({"DAILY_TOKENS": "-1"}, "DAILY_TOKENS"),
    ({"TIMEOUT_S": "0"}, "TIMEOUT_S"),
])  # fmt: skip
def test_a_language_model_is_set_whole_or_not(given: dict[str, str], wrong: str) -> None:
    found = problems({f"FINORA_LLM_{name}": value for name, value in given.items()})
    assert set(found) == {f"FINORA_LLM_{wrong}"}
    assert "sk-x" not in str(found) and "two words" not in str(found)


def test_a_language_model_of_this_machine_needs_no_key() -> None:
    said = {"FINORA_LLM_URL": "http://localhost:11434/v1", "FINORA_LLM_MODEL": "small"}
    assert from_environment(said).llm_key is None

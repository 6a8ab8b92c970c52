"""Which store the settings choose, and what of them does not go together."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from finora import Finora, Settings
from finora_adapters.compose import objects_of
from finora_adapters.settings import BadSettings, from_environment, production_problems
from finora_adapters.storage.directory import DirectoryObjects
from finora_adapters.storage.s3 import S3Objects

BUCKET = {
    "FINORA_STORAGE_S3_BUCKET": "files",
    "FINORA_STORAGE_S3_ENDPOINT": "https://s3.example.com",
    "FINORA_STORAGE_S3_REGION": "eu-central-1",
    "FINORA_STORAGE_S3_KEY": "key",
    "FINORA_STORAGE_S3_SECRET": "hunter2",
}


def wrong(environment: dict[str, str]) -> set[str]:
    with pytest.raises(BadSettings) as caught:
        from_environment(environment)
    assert "hunter2" not in str(caught.value)
    return {name for name, _ in caught.value.details}


@pytest.mark.spec("S0-15", partial=True)
def test_unset_storage_is_a_directory(tmp_path: Path) -> None:
    assert objects_of(Settings(data=tmp_path)) == DirectoryObjects(tmp_path / "files")


@pytest.mark.spec("S0-15", partial=True)
def test_a_bucket_is_used_where_one_is_named() -> None:
    settings = from_environment(BUCKET)
    assert objects_of(settings) == S3Objects(
        "files", "https://s3.example.com", "eu-central-1", "key", "hunter2"
    )
    assert "hunter2" not in repr(settings) + repr(objects_of(settings))
    alone = objects_of(Settings(storage_s3_bucket="files"))
    assert alone == S3Objects("files")


@pytest.mark.spec("S4-8", partial=True)
@pytest.mark.parametrize(
    ("changed", "named"),
    [({"SECRET": None}, {"SECRET"}), ({"KEY": None}, {"KEY"}),
     ({"BUCKET": None}, {"ENDPOINT", "REGION", "KEY"}), ({"BUCKET": "ab"}, {"BUCKET"}),
     ({"ENDPOINT": "s3.example.com"}, {"ENDPOINT"})],
)  # fmt: skip
def test_half_a_store_is_refused(changed: dict[str, str | None], named: set[str]) -> None:
    given = BUCKET | {f"FINORA_STORAGE_S3_{name}": value for name, value in changed.items()}
    environment = {name: value for name, value in given.items() if value is not None}
    assert wrong(environment) == {f"FINORA_STORAGE_S3_{name}" for name in named}


@pytest.mark.spec("S4-8", partial=True)
def test_two_stores_are_refused() -> None:
    assert wrong(BUCKET | {"FINORA_STORAGE_DIRECTORY": "/srv/files"}) == {
        "FINORA_STORAGE_S3_BUCKET"
    }
    with pytest.raises(BadSettings, match="FINORA_STORAGE_S3_BUCKET"):
        Finora.open(Settings(storage_s3_bucket="files", storage_directory=Path("/srv/files")))


@pytest.mark.spec("S4-8", partial=True)
def test_production_accepts_a_folder_or_a_bucket() -> None:
    for storage in ({}, {"FINORA_STORAGE_DIRECTORY": "/srv/files"}, BUCKET):
        names = {
            name
            for name, _ in production_problems(
                Settings.model_construct(
                    env="production", **{k[7:].lower(): v for k, v in storage.items()}
                )
            )
        }
        assert ("FINORA_STORAGE_DIRECTORY" in names) == (not storage)


def test_boto3_is_imported_only_when_it_is_used() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import json, sys; from finora_adapters.compose import objects_of; "
         "from finora import Settings; objects_of(Settings(storage_s3_bucket='files')); "
         "print(json.dumps(sorted(sys.modules)))"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert not {"boto3", "botocore"} & set(json.loads(said))

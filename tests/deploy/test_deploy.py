"""The files of deploy/ against schemas, settings, the command line and a real Postgres."""

import json
import os
import re
import secrets
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import kubernetes_validate
import psycopg
import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

import finora
from finora import Amount, Finora, Posting, Settings, currency
from finora_adapters.embedded import Engines, find_postgres, open_engines
from finora_adapters.postgres import migrate
from finora_adapters.settings import BadSettings, from_environment
from finora_worker.main import run as run_worker

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
NAME = re.compile(r"\bFINORA_(?!PLUGIN_)[A-Z0-9_]+\b")
SETTINGS = {f"FINORA_{name.upper()}" for name in Settings.model_fields}
OUR_IMAGES = ("finora", "finora-backup", "finora-pgbouncer")


@cache
def objects() -> tuple[dict[str, Any], ...]:
    return tuple(
        document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())
    )


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [each for each in objects() if each["kind"] in kinds]


def named(kind: str, name: str) -> dict[str, Any]:
    [found] = [each for each in of_kind(kind) if each["metadata"]["name"] == name]
    return found


def pods() -> dict[str, dict[str, Any]]:
    """Pod templates by the name of what makes them."""
    found = {each["metadata"]["name"]: each["spec"]["template"]
             for each in of_kind("Deployment", "Job")}  # fmt: skip
    for each in of_kind("CronJob"):
        found[each["metadata"]["name"]] = each["spec"]["jobTemplate"]["spec"]["template"]
    return found


@cache
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


# --- shape ---------------------------------------------------------------------------------------


@pytest.mark.spec("S2-59", partial=True)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_manifests_are_what_kubernetes_takes(path: Path, version: str) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(document, version, strict=True)
        if document["kind"] != "Namespace":
            assert document["metadata"]["namespace"] == "finora"


@pytest.mark.spec("S2-59", partial=True)
def test_the_compose_file_is_what_compose_takes() -> None:
    place = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(place.read_text())
    validator = validator_for(schema, default=Draft202012Validator)(schema)
    assert [error.message for error in validator.iter_errors(compose())] == []
    broken = compose() | {"services": {"api": {"imaeg": "x"}}}
    assert list(validator.iter_errors(broken))


def test_what_is_named_is_there() -> None:
    """Config maps, secrets, volumes, ports, selectors and claims lead somewhere."""
    for name, pod in pods().items():
        spec = pod["spec"]
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        for volume in volumes.values():
            if "configMap" in volume:
                named("ConfigMap", volume["configMap"]["name"])
            if "secret" in volume:
                named("Secret", volume["secret"]["secretName"])
            if "persistentVolumeClaim" in volume:
                named("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
        for container in spec["containers"]:
            for mount in container.get("volumeMounts", []):
                assert mount["name"] in volumes, name
            for source in container.get("envFrom", []):
                for kind, reference in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                    if reference in source:
                        named(kind, source[reference]["name"])
    labels = [pod["metadata"]["labels"] for pod in pods().values()]
    for each in of_kind("Service", "PodDisruptionBudget"):
        selector = each["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        met = [found for found in labels if wanted.items() <= found.items()]
        assert len(met) == (0 if each["metadata"]["name"] == "finora-nothing" else 1)
    for each in of_kind("Ingress"):
        for path in each["spec"]["rules"][0]["http"]["paths"]:
            service = path["backend"]["service"]
            ports = named("Service", service["name"])["spec"]["ports"]
            assert any(service["port"].items() <= _both(port).items() for port in ports)
    [scaler] = of_kind("HorizontalPodAutoscaler")
    target = scaler["spec"]["scaleTargetRef"]
    assert "replicas" not in named(target["kind"], target["name"])["spec"]


def _both(port: dict[str, Any]) -> dict[str, Any]:
    return port | {"number": port["port"]}


# --- what is asked of it -------------------------------------------------------------------------


@pytest.mark.spec("S2-59")
def test_three_apis_two_workers_and_no_gap_between_releases() -> None:
    from finora_web.app import _PROBES

    api = named("Deployment", "finora-api")["spec"]
    assert api["replicas"] >= 3
    for name in ("finora-api", "finora-worker", "pgbouncer"):
        rolling = named("Deployment", name)["spec"]["strategy"]["rollingUpdate"]
        assert rolling["maxUnavailable"] == 0 and rolling["maxSurge"] >= 1
    [container] = api["template"]["spec"]["containers"]
    probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"]
              for kind in ("startup", "liveness", "readiness")}  # fmt: skip
    assert probes == {"startup": "/live", "liveness": "/live", "readiness": "/ready"}
    scraped = api["template"]["metadata"]["annotations"]["prometheus.io/path"]
    assert {*probes.values(), scraped} <= _PROBES
    budgets = {each["metadata"]["name"]: each["spec"]["minAvailable"]
               for each in of_kind("PodDisruptionBudget")}  # fmt: skip
    assert budgets["finora-api"] < api["replicas"]
    [scaler] = of_kind("HorizontalPodAutoscaler")
    assert scaler["spec"]["minReplicas"] >= 2 > budgets["finora-worker"]
    [metric] = scaler["spec"]["metrics"]
    assert metric["external"]["metric"]["name"] == "job_queue_length"


@pytest.mark.spec("S4-3", partial=True)
def test_whoever_stops_a_process_waits_as_long_as_it_drains() -> None:
    drain = int(named("ConfigMap", "finora")["data"]["FINORA_DRAIN_S"])
    for name in ("finora-api", "finora-worker"):
        spec = pods()[name]["spec"]
        [container] = spec["containers"]
        before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        waits = int(before[1]) if before else 0
        assert spec["terminationGracePeriodSeconds"] > drain + waits
    default = Settings.model_fields["drain_s"].default
    for name in ("api", "worker"):
        assert int(compose()["services"][name]["stop_grace_period"].rstrip("s")) > default


@pytest.mark.spec("S2-54")
def test_the_worker_is_a_container_of_its_own_that_is_started_again() -> None:
    services = compose()["services"]
    assert services["worker"]["command"] == ["worker"] != services["api"]["command"]
    assert all(services[name]["restart"] == "unless-stopped" for name in ("worker", "api"))
    worker = pods()["finora-worker"]["spec"]
    assert worker.get("restartPolicy", "Always") == "Always"
    assert worker["containers"][0]["args"] == ["worker"]


@pytest.mark.spec("S2-59", partial=True)
def test_every_pod_is_closed_and_bounded() -> None:
    for name, pod in pods().items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        for container in spec["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])


@pytest.mark.spec("S2-64")
@pytest.mark.invariant("F-12")
def test_notes_and_settings_for_edge_database_and_redis() -> None:
    [ingress] = of_kind("Ingress")
    hosts = {rule["host"] for rule in ingress["spec"]["rules"]}
    assert hosts == {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]}
    redis = " ".join(compose()["services"]["redis"]["command"])
    assert "--maxmemory-policy noeviction" in redis and "--appendonly yes" in redis
    notes = (DEPLOY / "README.md").read_text()
    for word in ("TLS", "firewall", "standby", "point in time", "append-only", "Sentinel"):
        assert word in notes


# --- names, images, ports, commands --------------------------------------------------------------


@pytest.mark.spec("S2-59", partial=True)
def test_every_setting_that_is_named_exists() -> None:
    for path in sorted(path for path in DEPLOY.rglob("*") if path.is_file()):
        assert set(NAME.findall(path.read_text())) <= SETTINGS, path


def commands() -> Iterator[tuple[str, list[str]]]:
    for name, pod in pods().items():
        for container in pod["spec"]["containers"]:
            if container["image"].startswith("finora") and "pgbouncer" not in container["image"]:
                script = container.get("command")
                said = script[2].removeprefix("exec finora ") if script else None
                yield name, shlex.split(said) if said else container["args"]
    for name, service in compose()["services"].items():
        if service["image"].startswith("finora"):
            yield name, service["command"]
    for line in (DEPLOY / "README.md").read_text().splitlines():
        if found := re.match(r"docker compose run --rm (?:api|backup) (.*)", line):
            yield line, shlex.split(found[1])


def test_every_command_is_one_of_finora() -> None:
    from typer.main import get_command

    from finora.cli import app

    root: Any = get_command(app)
    seen = set()
    for where, words in commands():
        command = root
        while getattr(command, "commands", None):
            command = command.commands.get(words.pop(0))
            assert command is not None, where
        seen.add(command.name)
        if words and "--help" not in words:
            command.make_context(command.name, words)  # Refuses options that are not.
    assert {"serve", "worker", "migrate", "backup"} <= seen


def test_images_and_ports_are_one_releases() -> None:
    images = {
        container["image"] for pod in pods().values() for container in pod["spec"]["containers"]
    }
    images |= {service["image"] for service in compose()["services"].values()}
    ours = {image for image in images if image.split(":")[0] in OUR_IMAGES}
    assert ours == {f"{name}:{finora.__version__}" for name in OUR_IMAGES}
    assert not any(image.endswith(":latest") for image in images)
    port = Settings.model_fields["http_port"].default
    [container] = pods()["finora-api"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == port
    assert compose()["services"]["api"]["ports"][0].endswith(f":{port}:{port}")
    assert named("ConfigMap", "finora")["data"]["FINORA_HTTP_PORT"] == str(port)
    targets = {service["build"]["target"] for service in compose()["services"].values()
               if "build" in service}  # fmt: skip
    assert targets <= set(re.findall(r"^FROM .* AS (\w+)$", dockerfile(), re.M))


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text()


def stage(name: str) -> str:
    found = re.search(rf"^FROM [^\n]* AS {name}\n(.*?)(?=^FROM |\Z)", dockerfile(), re.M | re.S)
    assert found
    return found[1]


@pytest.mark.spec("S2-59", partial=True)
def test_the_image_is_small_and_nobodys_root() -> None:
    runtime = stage("runtime")
    assert re.findall(r"^USER (.*)$", runtime, re.M) == ["10001:10001"]
    assert "apt-get" not in runtime and "pip" not in runtime
    assert "HEALTHCHECK" in runtime and "/live" in runtime
    extras = re.search(r'"\.\[(.*)\]"', stage("build"))
    assert extras and set(extras[1].split(",")) == {"web", "worker", "s3", "cli"}
    assert dockerfile().rstrip().endswith("FROM runtime")
    for words in re.findall(r"apt-get install ([^\\]*)", dockerfile()):
        assert not re.search(r"gcc|build-essential|-dev\b|make", words)
    sent = (ROOT / ".dockerignore").read_text().split()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile(), re.M)
    assert {name for line in copied for name in line.split()} <= {
        name.removeprefix("!") for name in sent
    }


# --- production ----------------------------------------------------------------------------------


def of_pod(name: str) -> dict[str, str]:
    """The environment of a pod's container."""
    [container] = pods()[name]["spec"]["containers"]
    env = {each["name"]: each["value"] for each in container.get("env", [])}
    given: dict[str, str] = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            given |= named("ConfigMap", source["configMapRef"]["name"])["data"]
        else:
            given |= named("Secret", source["secretRef"]["name"])["stringData"]
    return given | env


def of_service(name: str) -> dict[str, str]:
    service = compose()["services"][name]
    said = (DEPLOY / "finora.env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in said if line and not line.startswith("#"))
    own = {key: re.sub(r"\$\{(\w+):[?-][^}]*\}", r"\1", value)
           for key, value in service["environment"].items()}  # fmt: skip
    in_image = dict(re.findall(r"(FINORA_\w+)=(\S+)", stage("runtime")))
    return in_image | given | own


PROCESSES = [
    *(
        (of_pod, name)
        for name in ("finora-api", "finora-worker", "finora-migrate", "finora-backup")
    ),
    *((of_service, name) for name in ("api", "worker", "migrate", "backup")),
]


@pytest.mark.spec("S2-59")
@pytest.mark.spec("S3-44", partial=True)
@pytest.mark.parametrize(
    ("read", "name"), PROCESSES, ids=lambda value: getattr(value, "__name__", value)
)
def test_each_process_passes_for_production_and_refuses_a_laptops_defaults(
    read: Any, name: str
) -> None:
    environment = read(name)
    with pytest.raises(BadSettings, match="FINORA_SECRET_KEYS"):
        from_environment(environment)  # The example's is nobody's.
    environment |= {"FINORA_SECRET_KEYS": f"1:{secrets.token_hex(32)}"}
    # What is to be filled in, and has a shape of its own.
    environment |= {"FINORA_ANCHOR_KEY": "0a" * 32} if "FINORA_ANCHOR_KEY" in environment else {}
    settings = from_environment(environment)
    assert settings.env == "production"
    assert settings.http_host == "0.0.0.0"
    defaults = {
        "FINORA_DATABASE_URL": ["FINORA_DATABASE_URL"],
        "FINORA_REDIS_URL": ["FINORA_REDIS_URL"],
        "FINORA_SECRET_KEYS": ["FINORA_SECRET_KEYS"],
        "FINORA_STORAGE_DIRECTORY": [key for key in environment if "STORAGE" in key],
        "FINORA_MAIL_SMTP_URL": ["FINORA_MAIL_SMTP_URL"],
    }
    for told, unset in defaults.items():
        with pytest.raises(BadSettings) as caught:
            from_environment({k: v for k, v in environment.items() if k not in unset})
        [(named_, reason)] = caught.value.details
        assert named_ == told and reason.startswith("set it")


@pytest.mark.parametrize(("read", "name"), PROCESSES)
def test_workers_alone_have_the_key_of_the_anchors_and_do_not_start_without(
    read: Any, name: str
) -> None:
    environment = read(name)
    if "worker" not in name:
        assert "FINORA_ANCHOR_KEY" not in environment
        return
    del environment["FINORA_ANCHOR_KEY"]
    environment |= {"FINORA_SECRET_KEYS": f"1:{secrets.token_hex(32)}"}
    with pytest.raises(BadSettings, match="FINORA_ANCHOR_KEY"):
        run_worker(from_environment(environment))


@pytest.mark.spec("S3-44", partial=True)
def test_examples_hold_no_secret_and_pods_only_their_own_login() -> None:
    for each in of_kind("Secret"):
        for value in each["stringData"].values():
            assert "CHANGE-ME" in value
    for line in (DEPLOY / ".env.example").read_text().splitlines():
        assert line.startswith("#") or line.endswith("=")
    for name in ("finora-api", "finora-worker"):
        assert all("finora_owner" not in value for value in of_pod(name).values())
    for name in ("api", "worker"):
        assert all("OWNER" not in value for value in of_service(name).values())
    assert "finora_owner" in of_pod("finora-migrate")["FINORA_DATABASE_DIRECT_URL"]
    assert "finora_backup" in of_pod("finora-backup")["FINORA_DATABASE_DIRECT_URL"]


# --- the logins, for real ------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    folder = tmp_path_factory.mktemp("s")
    folder.chmod(0o755)
    with open_engines(folder / "data") as engines:
        yield engines


@pytest.mark.spec("S2-59", partial=True)
def test_the_logins_of_the_script_install_run_and_back_up(server: Engines, tmp_path: Path) -> None:
    host = str(conninfo_to_dict(server.admin_dsn)["host"])
    env = {
        "PATH": f"{find_postgres(None)}:{os.environ['PATH']}", "PGHOST": host,
        "POSTGRES_USER": "postgres", "POSTGRES_DB": "books",
        "OWNER_PASSWORD": "o'wner", "APP_PASSWORD": 'a"pp', "BACKUP_PASSWORD": "b$ackup",
    }  # fmt: skip
    with psycopg.connect(server.admin_dsn, autocommit=True) as admin:
        admin.execute("create database books")
        # The embedded server made one of them for itself.
        admin.execute("drop role finora_app")
    script = DEPLOY / "postgres" / "roles.sh"
    subprocess.run([script], env=env, check=True, capture_output=True)

    def settings(login: str) -> Settings:
        return Settings(
            data=tmp_path,
            database_url=SecretStr(f"postgresql://finora_app@/books?host={host}"),
            database_direct_url=SecretStr(f"postgresql://{login}@/books?host={host}"),
        )

    assert Finora.migrate(settings("finora_owner")) == migrate.head()
    with Finora.open(settings("finora_app")) as opened:
        scope = opened.scope(tenant="acme", user="u1")
        a, b = (opened.ledger.open_account(scope, name).id for name in "AB")
        one = Amount(1, currency("EUR"))
        opened.ledger.post(scope, [Posting(a, one), Posting(b, -one)])
        opened.run_jobs()
    with psycopg.connect(f"host={host} user=finora_backup dbname=books") as connection:
        assert connection.execute("select count(*) from finora.posting").fetchone() == (2,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from finora.posting")

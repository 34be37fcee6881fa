"""deployment/: the scripts against a kubectl that only writes down what it was asked."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cryptography.fernet import Fernet

PROJECT = Path(__file__).parents[2]
SCRIPTS, MANIFESTS = PROJECT / "deployment" / "scripts", PROJECT / "deployment" / "k8s"
IMAGE = "registry.example.com:5000/team/facesvc:1.2.3"

# $WRONG is what fails: a part of a command line.
KUBECTL = """#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
*"get secret"*resourceVersion*) echo 815 ;;
*"get deployment web"*) echo 7 ;;
*"get secret"*) [ "$WRONG" = "no secret" ] || echo c2VjcmV0 ;;
"create "*) cat >> "$LOG.stdin"; echo job.batch/migrate-x ;;
*"get job.batch/migrate-x"*)
    [ "$WRONG" = migration ] && echo FailureTargetFailed || echo SuccessCriteriaMetComplete ;;
*"get deployment/web"*) [ "$WRONG" = "at rest" ] && echo 0 ;;
"kustomize "*) printf 'image: facesvc:0.2.0\\nfacesvc/settings: ""\\n' ;;
"apply --filename -") cat >> "$LOG.stdin" ;;
esac
case "$*" in *"$WRONG"*) exit 1 ;; esac
"""


@dataclass
class Run:
    code: int
    stderr: str
    asked: list[str]
    applied: str


@pytest.fixture
def fake_kubectl(tmp_path: Path) -> Path:
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL)
    program.chmod(0o755)
    return program


def run(kubectl: Path, script: str, *arguments: str, wrong: str = "nothing") -> Run:
    log, given = kubectl.with_name("log"), kubectl.with_name("log.stdin")
    done = subprocess.run(
        [SCRIPTS / script, *arguments],
        env={"PATH": f"{kubectl.parent}:/usr/bin:/bin", "LOG": str(log), "WRONG": wrong},
        capture_output=True,
        text=True,
    )
    asked = log.read_text().splitlines() if log.exists() else []
    applied = given.read_text() if given.exists() else ""
    return Run(done.returncode, done.stderr, asked, applied)


def places(done: Run, *parts: str) -> list[int]:
    """Where in the log the first command with each of these parts is."""
    return [next(at for at, line in enumerate(done.asked) if part in line) for part in parts]


def test_it_works(fake_kubectl: Path) -> None:
    done = run(fake_kubectl, "deploy.sh", IMAGE)
    assert done.code == 0, done.stderr
    order = places(
        done,
        "config.yaml",
        "get secret",
        "create --filename -",
        "get job",
        "apply --filename -",
        "rollout status deployment/web",
        "rollout status deployment/worker",
        "exec deployment/web",
    )
    assert order == sorted(order)
    assert set(re.findall(r"image: (.*)", done.applied)) == {IMAGE}
    assert done.applied.count(IMAGE) == 2  # the job's, and the deployments'
    # Pods read them when they start, so another one of them is another pod.
    assert re.search(r'^facesvc/settings: "\d+-815"$', done.applied, re.MULTILINE)


@pytest.mark.parametrize("name", ["web", "worker"])
def test_pods_say_which_settings_they_have(name: str) -> None:
    deployment = yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text())
    assert deployment["spec"]["template"]["metadata"]["annotations"] == {"facesvc/settings": ""}


def test_after_a_stop_the_web_is_started(fake_kubectl: Path) -> None:
    done = run(fake_kubectl, "deploy.sh", IMAGE, wrong="at rest")
    assert done.code == 0, done.stderr
    order = places(
        done, "apply --filename -", "scale deployment/web --replicas=2", "rollout status"
    )
    assert order == sorted(order)


@pytest.mark.parametrize("image", ["facesvc", "facesvc:latest", "localhost:5000/facesvc"])
def test_an_image_without_a_version_is_refused(fake_kubectl: Path, image: str) -> None:
    done = run(fake_kubectl, "deploy.sh", image)
    assert done.code == 1 and "version" in done.stderr
    assert done.asked == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("no secret", "has no SECRET_KEY"), ("migration", "did not end well"), ("config.yaml", "")],
)
def test_no_pod_is_replaced_when(fake_kubectl: Path, wrong: str, said: str) -> None:
    done = run(fake_kubectl, "deploy.sh", IMAGE, wrong=wrong)
    assert done.code == 1 and said in done.stderr
    assert "apply --filename -" not in done.asked


@pytest.mark.parametrize(
    "wrong",
    [
        "apply --filename -",
        "rollout status deployment/web",
        "rollout status deployment/worker",
        "exec",
    ],
)
def test_what_does_not_serve_goes_back(fake_kubectl: Path, wrong: str) -> None:
    done = run(fake_kubectl, "deploy.sh", IMAGE, wrong=wrong)
    assert done.code == 1 and "was taken back" in done.stderr
    # To the one before, also when there is no new one; of the worker there was none.
    undone = [line for line in done.asked if "rollout undo" in line]
    assert undone == ["--namespace facesvc rollout undo deployment/web --to-revision=7"]


def test_a_failed_migration_shows_its_output(fake_kubectl: Path) -> None:
    done = run(fake_kubectl, "migrate.sh", IMAGE, wrong="migration")
    assert done.code == 1
    assert any(" logs job.batch/migrate-x" in line for line in done.asked)


PODS = [
    (path.stem, document["spec"]["template"]["spec"])
    for path in sorted(MANIFESTS.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] in {"Deployment", "Job"}
]


@pytest.mark.parametrize(("name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_pods_may_do_nothing_but_their_work(name: str, pod: dict[str, object]) -> None:
    (container,) = pod["containers"]  # type: ignore[misc]
    allowed = container["securityContext"]
    assert allowed["readOnlyRootFilesystem"] and not allowed["allowPrivilegeEscalation"]
    assert allowed["capabilities"] == {"drop": ["ALL"]}
    assert pod["securityContext"]["runAsNonRoot"]  # type: ignore[index]
    assert not pod["automountServiceAccountToken"]
    assert set(container["resources"]) == {"requests", "limits"}


def test_every_pod_is_looked_at() -> None:
    assert {name for name, _ in PODS} == {"web", "worker", "migrate-job"}


def test_templates_are_protected_from_the_first_start_on(tmp_path: Path) -> None:
    """A dump of a database alone must name nobody: every way to install makes the key."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "python").symlink_to(sys.executable)
    stamp = tmp_path / ".venv" / "made.stamp"
    stamp.parent.mkdir()
    stamp.touch()
    command = ["make", "--file", str(PROJECT / "Makefile"), f"BIN={binaries}", ".env"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    made = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())
    Fernet(made["FACESVC_TEMPLATE_KEYS"])  # 32 bytes in base64
    assert made["FACESVC_TEMPLATE_KEYS"] != made["FACESVC_CROP_KEYS"]
    compose = (PROJECT / "docker" / "docker-compose.yml").read_text()
    assert "${FACESVC_TEMPLATE_KEYS:?" in compose
    config = yaml.safe_load((MANIFESTS / "config.yaml").read_text())
    assert "FACESVC_TEMPLATE_KEYS_FILE" in config["data"]

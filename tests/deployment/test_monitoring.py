"""deployment/monitoring: the dashboard and the alerts, against what running processes show."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from django.conf import settings as django_settings
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from facesvc.monitoring import stored_metrics
from recognition.gallery.replicas import asking
from recognition.gallery.replicas.fitness import Reason
from recognition.gallery.replicas.states import ReplicaState
from recognition.processes.slots import OverloadedError
from tests.support.builders import (
    OWNER,
    PICTURE_BASE64,
    FakePipeline,
    Person,
    make_face,
    make_user,
    vector,
)

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "deployment" / "monitoring"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
SCRAPED = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
JOBS = [each["job_name"] for each in SCRAPED["scrape_configs"]]
# Units of Grafana that the panels may have.
UNITS = {"none", "percentunit", "s", "reqps", "ops"}
# What Prometheus adds to each series.
OF_TARGETS = {"job", "instance"}

Labels = dict[str, set[str]]
# The labels of each metric, with the values that were seen.
Shown = dict[str, Labels]


def shown_by(text: str) -> Shown:
    shown: Shown = {"up": {}}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = shown.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return shown


@pytest.fixture
def shown(
    db: None,
    client: Client,
    service: Person,
    fake: FakePipeline,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Shown:
    """What a web server shows that has done some of everything, and has a replica."""
    settings.FACESVC_METRICS_OPEN = True
    monkeypatch.setattr(stored_metrics, "_remembered", (0.0, []))
    replica = ReplicaState("replica:5432", 0.5, "")
    monkeypatch.setattr(stored_metrics.states, "states", lambda: [replica])
    make_face(make_user(OWNER, "public"), vector(1))
    fake.show(vector(1))
    service.post("identify", image=PICTURE_BASE64)
    OverloadedError("full")
    asking.give_up(Reason.UNREACHABLE)
    return shown_by(client.get("/metrics").content.decode())


def expressions() -> Iterator[tuple[str, str]]:
    """Each PromQL expression, with the name of its panel or alert."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m")
            yield panel["title"], expression.replace("$job", "facesvc.*")


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def grouped_by(expression: str) -> set[str]:
    """The labels that the aggregations of an expression name."""
    found: set[str] = set()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            found.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def jobs_of(selector: promql_parser.VectorSelector) -> list[str]:
    matchers = [each for each in selector.matchers.matchers if each.name == "job"]
    return [job for job in JOBS if all(matches(each, job) for each in matchers)]


def matches(matcher: promql_parser.Matcher, value: str) -> bool:
    kind = matcher.op
    is_same = value == matcher.value
    if kind in (promql_parser.MatchOp.Equal, promql_parser.MatchOp.NotEqual):
        return is_same == (kind == promql_parser.MatchOp.Equal)
    return bool(re.fullmatch(matcher.value, value)) == (kind == promql_parser.MatchOp.Re)


def wrong_in(expression: str, shown: Shown) -> list[str]:
    """What an expression asks for that is not shown."""
    wrong = []
    for selector in selectors(expression):
        if selector.name not in shown:
            wrong.append(selector.name)
            continue
        labels = shown[selector.name]
        for matcher in selector.matchers.matchers:
            if matcher.name == "job":
                wrong += [] if jobs_of(selector) else [f"job {matcher.value}"]
            elif matcher.name not in labels:
                wrong.append(f"{selector.name} has no {matcher.name}")
            # Few statuses occur in a test; the values of all other labels are ours.
            elif matcher.name != "status" and not any(
                matches(matcher, value) for value in labels[matcher.name]
            ):
                wrong.append(f"{selector.name}: {matcher.name} {matcher.value}")
    known = OF_TARGETS.union(*(shown.get(each.name or "", {}) for each in selectors(expression)))
    return wrong + sorted(grouped_by(expression) - known)


def test_it_works(shown: Shown) -> None:
    """Each metric, label and value that a panel or an alert asks for is shown by a web server."""
    wrong = {name: found for name, expr in expressions() if (found := wrong_in(expr, shown))}
    assert not wrong
    assert len(RULES) > 10 and len(PANELS) > 20


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(facesvc_request_total[5m])", ["facesvc_request_total"]),
        ('facesvc_searches_total{shard="1"}', ["facesvc_searches_total has no shard"]),
        ('facesvc_hnsw_index{state="lost"}', ["facesvc_hnsw_index: state lost"]),
        ('up{job="other"}', ["job other"]),
        ("sum by (model) (facesvc_gallery_users)", ["model"]),
    ],
)
def test_what_is_wrong_is_found(shown: Shown, expression: str, expected: list[str]) -> None:
    assert wrong_in(expression, shown) == expected


def test_what_is_stored_is_not_summed_up() -> None:
    """Each web server shows the same, so the sum would grow with their number."""
    stored = {"gallery", "new_faces", "locked", "hnsw", "batch", "tasks", "webhook", "replica_"}
    for name, expression in expressions():
        asked = [each.name or "" for each in selectors(expression)]
        if any(
            each.startswith(tuple(f"facesvc_{s}" for s in stored)) and not each.endswith("_total")
            for each in asked
        ):
            assert "max" in expression, name


def test_each_alert_says_what_it_is_and_what_to_do() -> None:
    page = (PROJECT / "docs" / "operations.md").read_text()
    described = re.findall(r"^\| `(Facesvc\w+)` \| \S.* \|$", page, re.MULTILINE)
    assert described == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        summary = rule["annotations"]["summary"]
        assert summary.endswith(".")
        named = set(re.findall(r"\$labels\.(\w+)", summary))
        assert named <= grouped_by(rule["expr"]), rule["alert"]


def test_the_dashboard_is_whole() -> None:
    assert DASHBOARD["uid"] == "facesvc" and DASHBOARD["schemaVersion"] >= 36
    ids = [panel["id"] for panel in PANELS]
    assert len(ids) == len(set(ids))
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS))) - {"__rate_interval"}
    assert used == variables.keys()


def test_panels_have_a_unit_and_no_two_are_in_one_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        place = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not place & taken and max(x for x, _ in place) < 24, panel["title"]
        taken |= place
        if panel["type"] == "row":
            continue
        assert panel["type"] in {"timeseries", "stat"}
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m")
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert named <= grouped_by(expression), panel["title"]


def test_compose_and_kubernetes_show_the_workers_where_prometheus_asks() -> None:
    worker = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["worker"]
    port = int(worker["environment"]["FACESVC_WORKER_METRICS_PORT"])
    (config,) = (each for each in SCRAPED["scrape_configs"] if each["job_name"] == JOBS[1])
    assert config["static_configs"] == [{"targets": [f"worker:{port}"]}]
    kubernetes = PROJECT / "deployment" / "k8s"
    data = yaml.safe_load((kubernetes / "config.yaml").read_text())["data"]
    assert data["FACESVC_WORKER_METRICS_PORT"] == str(port)
    pod = yaml.safe_load((kubernetes / "worker.yaml").read_text())["spec"]["template"]["spec"]
    assert pod["containers"][0]["ports"] == [{"name": "metrics", "containerPort": port}]
    policies = yaml.safe_load_all((kubernetes / "network-policy.yaml").read_text())
    (policy,) = (each for each in policies if each["metadata"]["name"] == "metrics")
    assert policy["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": "metrics"}]


def test_by_default_a_worker_shows_nothing_and_to_nobody_else() -> None:
    assert django_settings.FACESVC_WORKER_METRICS_PORT == 0
    assert django_settings.FACESVC_WORKER_METRICS_HOST == "127.0.0.1"

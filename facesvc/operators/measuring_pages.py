"""Measuring a model on the people enrolled: the question, the run, and what it found."""

import base64
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from batch import tasks
from recognition.admin.kit import MEASURE, actor_of, page
from recognition.inference.pack import weights
from recognition.inference.pack.declaration import ModelPack, PackError
from recognition.measuring.here import enrolled, runs
from recognition.measuring.here.runs import MeasuringError
from recognition.measuring.photos import PhotosError
from recognition.models import ActiveModel, Measurement, MeasurementState
from recognition.packs import calibrations, catalogue, engine
from recognition.packs.scores import LEVELS, ScoreScale, level_confidence

# Faces a second, on slow and on fast processors, of slow and of fast packs.
_SLOW, _FAST = 2, 15
_FEW = 60  # seconds of work before which nothing is foretold
_LIST = "admin:recognition_activemodel_changelist"
_RUN = "admin:recognition_activemodel_measurement"


def urls(site: Any) -> list[URLPattern]:
    """The routes below the page of the active model."""
    pages = {
        "measure": path("measure/<str:pack>/", site.admin_view(ask)),
        "measurement": path("measurement/<int:pk>/", site.admin_view(run)),
    }
    for name, route in pages.items():
        route.name = f"recognition_activemodel_{name}"
    return list(pages.values())


def rows() -> list[Measurement]:
    """The runs there are: of each pack the one in use, and the last one."""
    return list(Measurement.objects.defer("calibration", "report").order_by("-pk"))


@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, pack: str) -> HttpResponse:
    """How many people there are and how many are needed; a POST asks a worker to measure."""
    _require(request, MEASURE)
    try:
        wanted = engine.pack(pack)
    except PackError as error:
        messages.warning(request, str(error))
        return redirect(_LIST)
    if request.method == "POST":
        return _begin(request, wanted)
    counted = enrolled.census()
    context = {
        "pack": wanted,
        "counted": counted,
        "lacks": counted.lacks or _lacking_files(wanted),
        "why": enrolled.why(),
        "most": enrolled.MOST_PEOPLE,
        "one_in": round(1 / counted.least_rate),
        "minutes": (-(-counted.faces // (60 * _FAST)), -(-counted.faces // (60 * _SLOW))),
        "open": runs.unfinished().first(),
    }
    title = _("Measure {pack} on the people enrolled here?").format(pack=wanted.name)
    return page(request, "operators/measure.html", title, ActiveModel, context)


def _lacking_files(pack: ModelPack) -> str:
    if weights.is_prepared(pack, settings.MODELS_DIR):
        return ""
    said = _("The files of {pack} are not here. Run manage.py models pull {pack} first.")
    return said.format(pack=pack.name)


def _begin(request: HttpRequest, pack: ModelPack) -> HttpResponse:
    try:
        row = runs.ask(pack, actor=actor_of(request))
    except (MeasuringError, PhotosError) as error:
        messages.error(request, str(error))
        return redirect("admin:recognition_activemodel_measure", pack.name)
    tasks.call_for_measuring()
    return redirect(_RUN, row.pk)


@require_http_methods(["GET", "POST"])
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """A run: how far it is, or what it found. A POST cancels it, or has what it found used."""
    _require(request, "recognition.view_activemodel")
    row = Measurement.objects.filter(pk=pk).first()
    if row is None:
        messages.warning(request, _("There is no such measurement."))
        return redirect(_LIST)
    if request.method == "POST":
        return _act(request, row)
    context = {"run": row, "may_act": request.user.has_perm(MEASURE), **_shown(row)}
    title = _("{pack} on the people enrolled here").format(pack=row.pack)
    return page(request, "operators/measurement.html", title, ActiveModel, context)


def _act(request: HttpRequest, row: Measurement) -> HttpResponse:
    _require(request, MEASURE)
    actor = actor_of(request)
    match request.POST.get("act"):
        case "cancel":
            done = runs.cancel(row, actor=actor)
            messages.info(request, _("It was cancelled.") if done else _("It had already ended."))
        case "use":
            try:
                runs.use(row, actor=actor)
                said = _("The scores of {pack} mean this from now on.")
                messages.success(request, said.format(pack=row.pack))
            except MeasuringError as error:
                messages.error(request, str(error))
        case "return":
            runs.return_to_pack(row.pack, actor=actor)
            said = _("The scores of {pack} mean what its pack.yaml says.")
            messages.success(request, said.format(pack=row.pack))
    return redirect(_RUN, row.pk)


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _shown(row: Measurement) -> dict[str, Any]:
    if row.is_open:
        return {"left": _left(row), "is_running": row.state == MeasurementState.RUNNING}
    if row.state != MeasurementState.MEASURED:
        return {}
    measured, report = runs.calibration_of(row), row.report or {}
    # The database sorts the names of a JSON object.
    levels = [{"name": name, **report["levels"][name]} for name in LEVELS]
    before = _before(row.pack)
    for level in levels:
        level["one_in"] = round(1 / level["target_fmr"])
        if before:
            confidence = level_confidence(level["name"])
            level["now"] = before.similarity(before.cosine_of_confidence(confidence))
    chart = base64.b64encode(report["chart"].encode()).decode()
    return {
        "calibration": measured,
        "levels": levels,
        "report": report,
        "chart": f"data:image/svg+xml;base64,{chart}",
        "unread": sum(report["unread"].values()),
        "duplicates": reverse("admin:recognition_possibleduplicate_changelist"),
        "is_active": catalogue.active_name() == row.pack,
    }


def _before(pack: str) -> ScoreScale | None:
    """What scores mean now; None if nobody knows."""
    try:
        calibration = calibrations.in_use(engine.pack(pack))
    except PackError:
        return None
    return ScoreScale(calibration) if calibration else None


def _left(row: Measurement) -> int | None:
    """The minutes until the end, once enough has been seen to say it."""
    if row.began_at is None or not row.seen:
        return None
    spent: timedelta = timezone.now() - row.began_at
    if spent.total_seconds() < _FEW and row.seen * 4 < row.faces:
        return None
    return round(spent.total_seconds() * (row.faces - row.seen) / row.seen / 60)

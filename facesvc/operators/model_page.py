"""The page of the active model: what its scores mean, its templates, how to change the model."""

from typing import Any

from django.db.models import Sum

from facesvc.operators import measuring_pages
from recognition.admin.kit import link
from recognition.gallery import indexes
from recognition.inference.pack.declaration import Calibration, PackError
from recognition.models import Face, GalleryCount, User
from recognition.packs import calibrations, catalogue, engine, protection, versions
from recognition.packs.scores import LEVELS, ScoreScale, level_confidence

# Count faces without a kept picture up to this number; every face may be one.
_MOST_FACES = 1000
_MOST_PEOPLE = 20


def page() -> dict[str, Any]:
    """What `operators/model.html` shows. `problem` says why the rest is not known."""
    row = engine.active_model()
    pack, calibration, problem = None, None, ""
    try:
        pack = engine.pack(row.pack)
        calibration = calibrations.in_use(pack)
        problem = "" if calibration else engine.not_calibrated(pack)
    except PackError as error:
        problem = str(error)
    version = versions.version_of(pack, row.template_key) if pack else ""
    return {
        "name": row.pack,
        "activated_at": row.activated_at,
        "is_protected": row.template_key != protection.NO_KEY,
        "problem": problem,
        "pack": pack,
        "calibration": calibration,
        "levels": _levels(calibration) if calibration else [],
        "versions": _versions(version),
        "index": indexes.look(version) if version else None,
        "lacking": _lacking(),
        "reason": row.reason,
        **_other_packs(),
        "runs": measuring_pages.rows(),
    }


def _levels(calibration: Calibration) -> list[dict[str, Any]]:
    """The verification levels, and what a match at each means: one stranger in so many has it."""
    scores, levels = ScoreScale(calibration), []
    for name in LEVELS:
        confidence = level_confidence(name)
        cosine = scores.cosine_of_confidence(confidence)
        level = {
            "name": name,
            "confidence": confidence,
            "similarity": round(scores.similarity(cosine), 3),
            "one_in": round(1 / scores.fmr(cosine)),
            "is_extrapolated": scores.is_extrapolated(cosine),
        }
        levels.append(level)
    return levels


def _versions(active: str) -> list[dict[str, Any]]:
    """How many templates each version has, and how many of them somebody can find."""
    rows = GalleryCount.objects.order_by().values_list("embedding_version", "shown")
    sums: dict[str, dict[bool, int]] = {}
    for name, shown, count in rows.annotate(Sum("templates")):
        sums.setdefault(name, {})[shown] = count
    sums.setdefault(active, {})
    return [
        {
            "name": name,
            "templates": sum(found.values()),
            "shown": found.get(True, 0),
            "is_active": name == active,
        }
        for name, found in sorted(sums.items(), key=lambda each: (each[0] != active, each[0]))
        if name and (any(found.values()) or name == active)
    ]


def _lacking() -> dict[str, Any]:
    """Faces without a kept picture, from which no other model can make a template."""
    faces = Face.objects.filter(crop=None).order_by()
    users = list(faces.values_list("user_id", flat=True)[: _MOST_FACES + 1])
    different = list(dict.fromkeys(users))
    people = User.objects.only("pk", "display_name").in_bulk(different[:_MOST_PEOPLE])
    return {
        "faces": min(len(users), _MOST_FACES),
        "people": [link(user) for user in people.values()],
        "is_cut": len(users) > _MOST_FACES,
        "has_more_people": len(different) > _MOST_PEOPLE,
    }


def _other_packs() -> dict[str, Any]:
    """The packs that are not active, each with the commands that make it so; the better one."""
    has_faces = Face.objects.exists()
    others = [
        (each, catalogue.commands(each, has_faces=has_faces))
        for each in catalogue.entries()
        if not each.active
    ]
    better = catalogue.better()
    found = [each for each in others if better and each[0].pack.name == better.pack.name]
    return {"others": others, "better": found[0] if found else None}

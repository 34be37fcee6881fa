"""What is stored: the active model, its templates, and the keys that they need."""

from facesvc.doctor.examining import CheckState, Finding, failure, ok, warning
from recognition.collections import rules
from recognition.collections.current import here
from recognition.gallery import indexes
from recognition.models import ActiveModel, Face, FaceCrop
from recognition.packs import catalogue, engine, protection, versions
from recognition.privacy import sealing

A_KEY = "python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"


def pack() -> Finding:
    """Says which pack serves and why, and how to change to a better one."""
    if (row := ActiveModel.objects.first()) is None:
        return failure("none is chosen", "Run `manage.py migrate`.")
    text = f"{row.pack} serves. {row.reason}".rstrip()
    if (better := catalogue.better()) is None:
        return ok(text)
    commands = ", ".join(
        f"`{command}`" for command in catalogue.commands(better, has_faces=Face.objects.exists())
    )
    advice = f"{better.pack.name} compares faces better, and is free: {commands}."
    return Finding(CheckState.OK, text, advice)


def template_key() -> Finding:
    row = ActiveModel.objects.first()
    key = row.template_key if row else protection.newest_key()
    if key not in (protection.NO_KEY, *protection.key_ids()):
        text = f"the templates are protected by the key {key}, which is missing"
        return failure(text, "FACESVC_TEMPLATE_KEYS has to have it again: see docs/operations.md.")
    if key == protection.NO_KEY:
        text = "the templates are not protected: a stolen table can be used elsewhere"
        return warning(text, f"FACESVC_TEMPLATE_KEYS, then `manage.py rotate_keys`: {A_KEY}")
    return ok(f"the templates are protected by the key {key}")


def crop_key() -> Finding:
    """Checks that the newest and the oldest kept picture can be decrypted."""
    if not sealing.is_possible():
        text = "there is none: jobs, callbacks and a change of the model do not work"
        return warning(text, f"Set FACESVC_CROP_KEYS: {A_KEY}")
    crops = FaceCrop.objects.order_by("pk")
    kept = [crop for crop in (crops.first(), crops.last()) if crop]
    if not all(sealing.can_open(bytes(crop.sealed)) for crop in kept):
        text = "no key in FACESVC_CROP_KEYS opens a picture that is kept"
        return failure(text, "The key that it was made with has to be there again.")
    return ok("it opens the pictures that are kept" if kept else "it is there")


def own_rules() -> Finding:
    """Checks the rules of the current collection again: ranges may follow from other settings."""
    if here().rules and (problem := rules.problem(here().rules)):
        command = f"manage.py collections set {here().name} RULE=VALUE"
        return failure(problem, f"`{command}`, or `RULE=` for the service's own value.")
    return ok("every collection has values that its settings can have")


def search() -> Finding:
    """Checks the sketches of the templates that are searched, and the index of a large gallery."""
    if (row := ActiveModel.objects.first()) is None:
        return failure("nothing is prepared", "Run `manage.py migrate`.")
    version = versions.version_of(engine.pack(row.pack), row.template_key)
    if not indexes.is_usable(version):
        return failure(f"what a search of {version} needs is missing", "Run `manage.py migrate`.")
    index = indexes.look(version)
    text = f"templates of {version}: {index.templates:,}; there is {index.words}"
    return warning(text, index.advice) if index.advice else ok(text)

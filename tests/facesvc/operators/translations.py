"""The texts of the admin pages and their translations: what `make translations` keeps in step.

The .po file is for people who translate, and the .mo file next to it is what Django reads. Both
are in the repository, so that a wheel and a checkout need no tool of gettext.
"""

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from django.apps import apps
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import TextChoices
from django.utils.translation.template import templatize

from batch import models as batch_models
from facesvc.home import BASE_DIR
from facesvc.page import catalogues
from recognition import models as recognition_models
from recognition.inference.quality import REASONS
from recognition.models import measurements, sessions
from recognition.models.duplicates import DuplicateState
from recognition.packs.scores import LEVELS
from recognition.verification.risk import RULES

FOLDERS = ("facesvc", "recognition", "management", "batch")
PO = BASE_DIR / "facesvc" / "locale" / "th" / "LC_MESSAGES" / "django.po"
MO = PO.with_suffix(".mo")
# A text, or a text and its plural.
Message = str | tuple[str, str]
_MARKS = {"_": 1, "_lazy": 1, "gettext": 1, "ngettext": 2}
# Codes that pages show in words, beside those of the choices of models.
_CODES = (
    *("success", "no_match", "no_face_detected", "no_registered_faces", "rejected"),
    *("low", "medium", "high", "not_asked", "passed", "failed", "no_answer"),
    *(
        "confidence_score",
        "reason",
        "level",
        "result",
        "risk_level",
        "privacy_level",
        "shown",
        "users",
        "all",
    ),
    *LEVELS,
    *REASONS.values(),
    *(rule.name for rule in RULES),
    sessions.EXPIRED,
)
# Texts of Django on pages that operators use; its Thai lacks them.
_DJANGOS: tuple[Message, ...] = (
    "Skip to main content",
    "Toggle theme (current theme: auto)",
    "Toggle theme (current theme: light)",
    "Toggle theme (current theme: dark)",
    "Model name",
    "Add link",
    "Change or view list link",
    "Breadcrumbs",
    "Toggle navigation",
    "Sidebar",
    "Filter navigation items",
    "Start typing to filter…",
    "Show counts",
    "Hide counts",
    "0 of %(cnt)s selected",
    "Select all objects on this page for an action",
    "Select this object for an action - {}",
    "Remove from sorting",
    "Toggle sorting",
    "This object doesn’t have a change history. It probably wasn’t added via this admin site.",
    "You don’t have permission to view or edit anything.",
    "Yes, I’m sure",
    "The {name} “{obj}” was added successfully.",
    "The {name} “{obj}” was added successfully. You may add another {name} below.",
    "The {name} “{obj}” was added successfully. You may edit it again below.",
    "The {name} “{obj}” was changed successfully.",
    "The {name} “{obj}” was changed successfully. You may add another {name} below.",
    "The {name} “{obj}” was changed successfully. You may edit it again below.",
    "The %(name)s “%(obj)s” was deleted successfully.",
    "Please enter your old password, for security’s sake, and then enter your new password twice "
    "so we can verify you typed it in correctly.",
    "After you’ve created a user, you’ll be able to edit more user options.",
    "Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
    "Password-based authentication",
    "Enabled",
    "Whether the user will be able to authenticate using a password or not. If disabled, they may "
    "still be able to authenticate using other backends, such as Single Sign-On or LDAP.",
    "Your password can’t be too similar to your other personal information.",
    "Your password can’t be a commonly used password.",
    "Your password can’t be entirely numeric.",
    "The password is too similar to the %(verbose_name)s.",
    "This password is too common.",
    "This password is entirely numeric.",
    "Enter the same password as before, for verification.",
    "The groups this user belongs to. A user will get all permissions granted to each of their "
    "groups.",
    "Hold down “Control”, or “Command” on a Mac, to select more than one.",
    (
        "Your password must contain at least %(min_length)d character.",
        "Your password must contain at least %(min_length)d characters.",
    ),
    (
        "This password is too short. It must contain at least %d character.",
        "This password is too short. It must contain at least %d characters.",
    ),
)
_NAMED_APPS = ("collections", "recognition", "batch")


def wanted() -> dict[Message, set[str]]:
    """Each text, with the files that have it. Those of the models are under `models`."""
    found: dict[Message, set[str]] = {}
    for path in sorted(path for folder in FOLDERS for path in (BASE_DIR / folder).rglob("*")):
        if path.suffix == ".py":
            texts = _marked(path.read_text())
        elif path.suffix == ".html" and "page" not in path.parts:
            texts = _in_template(path)
        else:
            continue
        for text in texts:
            found.setdefault(text, set()).add(str(path.relative_to(BASE_DIR)))
    for name in _names():
        found.setdefault(name, set()).add("models")
    for text in _DJANGOS:
        found.setdefault(text, set()).add("django")
    return found


def _marked(code: str) -> Iterator[Message]:
    """The literal texts of the calls that mark them."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        count = _MARKS.get(node.func.id, 0)
        texts = [each.value for each in node.args[:count] if isinstance(each, ast.Constant)]
        if count and len(texts) == count:
            yield texts[0] if count == 1 else (texts[0], texts[1])


def _in_template(path: Path) -> Iterator[Message]:
    """Django makes calls of gettext of the tags, between letters that stand for all other text."""
    made = templatize(path.read_text(), origin=str(path))
    text = r"""u?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    for call in re.findall(rf"(?:\bn?gettext|\b_)\({text}(?:, ?{text})?", made):
        closed = call + (", 0)" if call.startswith("ngettext") else ")")
        yield from _marked(closed.replace("%%", "%"))


def _names() -> Iterator[str]:
    """The names of models, their fields and choices, as the pages show them."""
    for label in _NAMED_APPS:
        app = apps.get_app_config(label)
        yield str(app.verbose_name)
        for model in app.get_models():
            if admin.site.is_registered(model):
                yield from (str(model._meta.verbose_name), str(model._meta.verbose_name_plural))
                yield from _fields(admin.site._registry[model])
    for module in (batch_models, recognition_models, measurements, sessions):
        for each in vars(module).values():
            if isinstance(each, type) and issubclass(each, TextChoices):
                yield from (value.replace("_", " ") for value in each.values)
    yield from (value.replace("_", " ") for value in DuplicateState.values)
    removed = catalogues.of("en")["removed"]  # the tables that a receipt of an erasure names
    yield from (code.replace("_", " ") for code in (*_CODES, *removed))


def _fields(shown: ModelAdmin) -> Iterator[str]:
    """The names of the columns of a table that its pages show as they are."""
    for part in (shown, *(each(shown.model, admin.site) for each in shown.inlines)):
        for name in {*(part.fields or ()), *getattr(part, "list_display", ())}:
            if name in {field.name for field in part.model._meta.local_fields}:
                yield str(part.model._meta.get_field(name).verbose_name)


def read(path: Path = PO) -> Catalog:
    with path.open("rb") as file:
        return read_mo(file) if path.suffix == ".mo" else read_po(file, locale="th")


def update() -> Catalog:
    """The file with the texts that the code has now; new ones have no translation."""
    before = read() if PO.exists() else Catalog(locale="th")
    after = Catalog(locale="th", project="facesvc", charset="utf-8", fuzzy=False)
    after.header_comment = "# Thai texts of the admin pages of facesvc."
    for text, files in sorted(wanted().items(), key=lambda each: str(each[0])):
        known = before.get(text if isinstance(text, str) else text[0])
        after.add(text, known.string if known else None, locations=[(f, 0) for f in sorted(files)])
    return after


def write(catalog: Catalog) -> None:
    made = io.BytesIO()
    write_po(made, catalog, width=100, include_lineno=False, omit_header=False)
    PO.write_bytes(made.getvalue())
    with MO.open("wb") as file:
        write_mo(file, catalog)


def main() -> None:
    catalog = update()
    write(catalog)
    lacking = untranslated(catalog)
    print(f"{PO.name} has {len(catalog)} texts, {len(lacking)} without a translation.")


def untranslated(catalog: Catalog) -> list[Message]:
    return [
        message.id
        for message in catalog
        if message.id and not all(message.string if message.pluralizable else [message.string])
    ]

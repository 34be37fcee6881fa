"""The keys of services: who has which, made here, replaced and revoked.

The answer to the form shows a new key. It is in no session, cookie or message, so no reload and no
way back shows it again. The form carries the id of the key that it makes, so that a reload, which
sends the form once more, makes no second key.
"""

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from facesvc.operators.door import shown
from recognition.access import SCOPES
from recognition.admin.kit import (
    LargeTable,
    actor_of,
    address_of,
    column,
    note_in_history,
    page,
    time_column,
    when,
)
from recognition.api.callers import making
from recognition.api.callers.claims import MOST_CALLS_PER_MINUTE, is_client_name
from recognition.collections.current import here
from recognition.collections.models import AccessKey, ApiKey, ServiceKey
from recognition.errors import ServiceError

_MEANINGS = {
    "face:register": _lazy("enrol faces"),
    "face:verify": _lazy("compare a picture with a person or another picture, check video calls"),
    "face:identify": _lazy("search who is in a picture, detect faces"),
    "face:manage": _lazy("read and change users, faces, friends and groups"),
    "face:batch": _lazy("send many pictures as one job"),
    "face:collections": _lazy("make and erase collections"),
    "face:admin": _lazy("moderate, and search among everybody"),
}


class KeyForm(forms.Form):
    service = forms.CharField(
        max_length=100,
        label=_lazy("Service"),
        help_text=_lazy("The name of the program that will have the key. The audit log shows it."),
    )
    scopes = forms.MultipleChoiceField(
        label=_lazy("What it may do"), widget=forms.CheckboxSelectMultiple
    )
    calls_per_minute = forms.IntegerField(
        label=_lazy("Calls a minute"),
        required=False,
        min_value=1,
        max_value=MOST_CALLS_PER_MINUTE,
        help_text=_lazy("Empty: RATE_LIMIT_PER_MINUTE and RATE_LIMIT_PER_HOUR count."),
    )
    days = forms.IntegerField(
        label=_lazy("Days until it expires"),
        required=False,
        min_value=1,
        max_value=making.MOST_DAYS,
        help_text=_lazy("Empty: it is valid until somebody revokes it."),
    )

    key_id = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, signer: signing.Signer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._signer = signer
        scopes: Any = self.fields["scopes"]
        possible = making.all_scopes(here().name)
        scopes.choices = [(scope, f"{scope}: {_MEANINGS[scope]}") for scope in possible]

    def clean_service(self) -> str:
        name: str = self.cleaned_data["service"]
        if not is_client_name(name):
            raise forms.ValidationError(
                _("A name has letters, digits and . @ : _ - and is no UUID.")
            )
        return name

    def clean_key_id(self) -> str:
        """Empty, or an id that a form of these pages had."""
        signed: str = self.cleaned_data["key_id"]
        try:
            return self._signer.unsign(signed) if signed else ""
        except signing.BadSignature as error:
            raise forms.ValidationError(_("Open this form again.")) from error


class RotationForm(forms.Form):
    hours = forms.IntegerField(
        label=_lazy("Hours for which the old one stays valid"),
        min_value=0,
        max_value=making.MOST_HOURS,
        initial=24,
    )


class KeyAdmin(LargeTable):
    """Keys of the collection that the pages show."""

    list_display = ["id", "service", "scopes_column", "collection_column", "used", "state"]
    ordering: ClassVar[Any] = ["-created_at"]
    list_select_related = ["collection"]
    search_fields = ["service", "id"]
    search_help_text = _lazy("The name of a service, or the id of a key.")

    scopes_column = column(_lazy("what it may do"), lambda key: ", ".join(key.scopes))
    collection_column = column(_lazy("collection"), lambda key: str(key.collection))
    used = time_column(_lazy("last used"), "last_used_at")
    state = column(_lazy("state"), lambda key: _state(key))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(collection=here().number)

    def _may(self, request: HttpRequest, verb: str) -> bool:
        label, name = self.opts.app_label, self.opts.model_name
        return bool(request.user.has_perm(f"{label}.{verb}_{name}"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self._may(request, "add"):
            raise PermissionDenied
        signer = signing.Signer(salt=f"new {self.opts.model_name}")
        new = {"key_id": signer.sign(making.new_id(self.model))}
        given = request.POST if request.method == "POST" else None
        form = KeyForm(given, initial=new, signer=signer)
        if form.is_valid() and (key := self._made_before(request, form)):
            messages.warning(
                request, _("This form was sent before: it made this key, which was shown then.")
            )
            return redirect(address_of(key))
        if form.is_valid() and (made := self._make(request, form)):
            note_in_history(request, [made[0]], _("Made"))
            return self._shown_once(request, *made)
        title = _("A new key")
        collection, others = shown(request)
        context = {"form": form, "opens": collection.name, "is_a_choice": len(others) > 1}
        return page(request, "operators/new_key.html", title, self.model, context)

    def _made_before(self, request: HttpRequest, form: KeyForm) -> ServiceKey | None:
        """The key that this form has made already."""
        made = self.get_queryset(request).filter(pk=form.cleaned_data["key_id"])
        found: ServiceKey | None = made.first()
        return found

    def _make(self, request: HttpRequest, form: KeyForm) -> tuple[ServiceKey, str] | None:
        days = form.cleaned_data["days"]
        scopes = [scope for scope in SCOPES if scope in form.cleaned_data["scopes"]]
        try:
            return making.make(
                self.model,
                form.cleaned_data["service"],
                scopes,
                collection=here().name,
                by=actor_of(request),
                expires_at=timezone.now() + timedelta(days=days) if days else None,
                calls_per_minute=form.cleaned_data["calls_per_minute"],
                key_id=form.cleaned_data["key_id"],
            )
        except ServiceError as error:
            form.add_error(None, str(error))
            return None

    def _shown_once(self, request: HttpRequest, key: ServiceKey, secret: str) -> HttpResponse:
        is_pair = isinstance(key, AccessKey)
        context = {"key": key, "secret": secret, "is_pair": is_pair}
        context["is_off"] = is_pair and not settings.FACESVC_AWS
        title = _("The key of {service}").format(service=key.service)
        return page(request, "operators/key_once.html", title, self.model, context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A key, and what can be done with it. A POST does it."""
        key = self.get_object(request, unquote(object_id))
        if not self._may(request, "view"):
            raise PermissionDenied
        if key is None:
            messages.warning(request, _("There is no such key."))
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        form = RotationForm(request.POST if request.method == "POST" else None)
        if request.method == "POST":
            if not self._may(request, "change"):
                raise PermissionDenied
            if answer := self._act(request, key, form):
                return answer
        facts = {"state": _state(key), "used": when(key.last_used_at), "made": when(key.created_at)}
        may_act = self._may(request, "change") and not making.is_over(key)
        context = {"key": key, "form": form, "may_act": may_act, "original": key, **facts}
        context["after"] = making.successor(key)
        return page(request, "operators/key.html", str(key), self.model, context)

    def _act(
        self, request: HttpRequest, key: ServiceKey, form: RotationForm
    ) -> HttpResponse | None:
        """The answer to a POST; None where the form says what is wrong."""
        by = actor_of(request)
        if request.POST.get("act") == "revoke":
            if making.revoke(key, by=by):
                note_in_history(request, [key], _("Revoked"))
            messages.success(request, _("The key is revoked: it opens nothing from now on."))
            return redirect(request.path)
        if not form.is_valid():
            return None
        try:
            keep = timedelta(hours=form.cleaned_data["hours"])
            new, secret = making.rotate(key, keep=keep, by=by)
        except ServiceError as error:
            messages.error(request, str(error))
            return redirect(request.path)
        note_in_history(request, [key], _("Replaced"))
        return self._shown_once(request, new, secret)


def _state(key: ServiceKey) -> str:
    if key.revoked_at:
        return _("revoked {time}").format(time=when(key.revoked_at))
    if key.expires_at is None:
        return _("valid")
    text = _("expired {time}") if making.is_over(key) else _("valid until {time}")
    return text.format(time=when(key.expires_at))


admin.site.register([ApiKey, AccessKey], KeyAdmin)

"""The login of the admin pages, at which nobody can guess for long."""

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from facesvc import throttling

_PER_MINUTE = 5
_PER_HOUR = 30


class LoginForm(AdminAuthenticationForm):
    def clean(self) -> dict[str, Any]:
        # For each name and address: a stranger elsewhere cannot lock an operator out.
        address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
        name = self.cleaned_data.get("username", "")
        minute, _, hour, _ = throttling.count(f"login {address} {name}")
        if minute > _PER_MINUTE or hour > _PER_HOUR:
            raise ValidationError("Too many attempts; try again later.")
        return super().clean()

"""Django's admin under our title and names, and the groups that every installation has."""

from django.apps import AppConfig, apps
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy as _lazy

_TRANSLATED = ("collections", "recognition", "batch")


class SiteConfig(AdminConfig):
    """Replaces the configuration of django.contrib.admin."""

    default_site = "facesvc.operators.site.OperatorSite"


class OperatorsConfig(AppConfig):
    name = "facesvc.operators"

    def ready(self) -> None:
        from facesvc.operators import roles
        from facesvc.postgres import former

        _call_accounts_operators()
        for label in _TRANSLATED:
            _name_in_each_language(apps.get_app_config(label))
        # The signals of the first and the last app whose permissions are granted.
        recognition = apps.get_app_config("recognition")
        pre_migrate.connect(former.refuse, sender=recognition)
        pre_migrate.connect(roles.remember, sender=recognition)
        post_migrate.connect(roles.prepare, sender=recognition)


def _call_accounts_operators() -> None:
    """Names the accounts operators: a user is a person whose face is enrolled."""
    auth = apps.get_app_config("auth")
    auth.verbose_name = _lazy("Operators and their rights")
    options = auth.get_model("User")._meta
    options.verbose_name, options.verbose_name_plural = _lazy("operator"), _lazy("operators")


def _name_in_each_language(app: AppConfig) -> None:
    """Lets the pages translate the names of an app, its models and their fields.

    Most of these names are made of the code. They stay as they are in migrations, permissions and
    whatever else is stored: Django takes those from what the class itself declares.
    """
    app.verbose_name = _lazy(str(app.verbose_name))
    for model in app.get_models():
        options = model._meta
        options.verbose_name = _lazy(str(options.verbose_name))
        options.verbose_name_plural = _lazy(str(options.verbose_name_plural))
        for field in options.local_fields:
            field.verbose_name = _lazy(str(field.verbose_name))

"""Django's admin under our title and names, and the groups that every installation has."""

from django.apps import AppConfig, apps
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate, pre_migrate


class SiteConfig(AdminConfig):
    """Replaces the configuration of django.contrib.admin."""

    default_site = "facesvc.operators.site.OperatorSite"


class OperatorsConfig(AppConfig):
    name = "facesvc.operators"

    def ready(self) -> None:
        from facesvc.operators import roles
        from facesvc.postgres import former

        _call_accounts_operators()
        # The signals of the first and the last app whose permissions are granted.
        recognition = apps.get_app_config("recognition")
        pre_migrate.connect(former.refuse, sender=recognition)
        pre_migrate.connect(roles.remember, sender=recognition)
        post_migrate.connect(roles.prepare, sender=recognition)


def _call_accounts_operators() -> None:
    """Names the accounts operators: a user is a person whose face is enrolled."""
    auth = apps.get_app_config("auth")
    auth.verbose_name = "Operators and their rights"
    options = auth.get_model("User")._meta
    options.verbose_name, options.verbose_name_plural = "operator", "operators"

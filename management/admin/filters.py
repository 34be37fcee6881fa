"""Filters of the lists. An index finds the rows where few fit."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from recognition.models import Face, FailureCount, User


class SuspendedFilter(admin.SimpleListFilter):
    title, parameter_name = "suspension", "suspended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Suspended"), ("no", "Not suspended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(suspended_at__isnull=self.value() == "no")


class LockedFilter(admin.SimpleListFilter):
    """People that a moderator has to unlock after too many failed attempts."""

    title, parameter_name = "failed attempts", "locked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Locked after failures")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        if self.value() != "yes":
            return queryset
        locked = FailureCount.objects.filter(locked_at__isnull=False)
        return queryset.filter(pk__in=locked.values("user"))


class SearchableFilter(admin.SimpleListFilter):
    title, parameter_name = "search setting", "searchable"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Searchable"), ("no", "Not searchable")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Face]) -> QuerySet[Face]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(searchable=self.value() == "yes")

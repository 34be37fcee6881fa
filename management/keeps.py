"""What this app keeps of people: see recognition.privacy.keeping."""

from django.contrib.admin.models import LogEntry
from django.db.models import Q

from recognition.privacy.keeping import KEEPS, Erasure, Keeps, Person, Section


def _about_in_admin_log(person: Person) -> Q:
    """Entries of the admin pages' history that name the person or a face."""
    about = person.in_column("object_repr") | person.in_column("change_message")
    return about | Q(object_id__in=person.traces)


def _forget(erasure: Erasure) -> None:
    erasure.delete(LogEntry.objects.filter(_about_in_admin_log(erasure.person)))


_LOG = Section("operators_log", LogEntry, _about_in_admin_log)
KEEPS.append(Keeps(forget=_forget, sections=(_LOG,)))

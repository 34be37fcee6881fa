"""What the processes of `reembed` run.

Nothing of Django is imported at the top: a spawned process loads this before Django is set up.
"""

import os
from typing import TYPE_CHECKING

import django

from recognition.processes.orphans import end_with_parent

if TYPE_CHECKING:
    from recognition.model_change.reembedding import Outcome


def start() -> None:
    end_with_parent()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    django.setup()


def convert(pks: list[int], pack: str, template_key: str) -> "list[Outcome]":
    from recognition.model_change.reembedding import Target, convert

    return convert(pks, Target(pack, template_key))

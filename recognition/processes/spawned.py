"""How a process begins that was spawned for work which needs Django.

Nothing of our own that needs Django is imported here: the process loads this first.
"""

import os

import django

from recognition.processes.orphans import end_with_parent


def start() -> None:
    """The initializer of a pool; Django is set up when the process unpickles its first task."""
    end_with_parent()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    django.setup()

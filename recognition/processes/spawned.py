"""Starts a process that was spawned for work that needs Django.

This module imports nothing that needs Django: the process loads it first.
"""

import os

import django

from recognition.processes.orphans import end_with_parent


def start() -> None:
    """The initializer of a pool; Django is set up when the process unpickles its first task."""
    end_with_parent()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    django.setup()

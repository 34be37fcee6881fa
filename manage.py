#!/usr/bin/env python
"""Management commands; `manage.py help` lists them."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from facesvc.postgres.cluster import DatabaseError
from recognition.collections import current

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    current.enter(current.DEFAULT)
    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, DatabaseError) as error:  # such as a SECRET_KEY that is weak
        sys.exit(str(error))

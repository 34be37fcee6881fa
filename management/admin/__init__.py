"""The moderators' pages about people: who is held, with which faces, and what can be done.

Every change goes through management.moderation and management.erasure, as the API's do.
"""

from management.admin.duplicates import DuplicateAdmin as DuplicateAdmin
from management.admin.faces import FaceAdmin as FaceAdmin
from management.admin.people import PersonAdmin as PersonAdmin

"""The moderators' pages about people and their faces, and what a moderator can do.

Every change goes through management.moderation and management.erasure, as in the API.
"""

from management.admin.duplicates import DuplicateAdmin as DuplicateAdmin
from management.admin.faces import FaceAdmin as FaceAdmin
from management.admin.people import PersonAdmin as PersonAdmin

"""Pages about sessions and attempts, and what the admin pages of all apps share."""

from recognition.admin import sessions

__all__ = ["sessions"]

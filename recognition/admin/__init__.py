"""Admin pages about sessions and attempts, and the common parts of all apps' admin pages."""

from recognition.admin import sessions

__all__ = ["sessions"]

"""The operators' pages about jobs and callbacks."""

from batch.admin import callbacks, jobs

__all__ = ["callbacks", "jobs"]

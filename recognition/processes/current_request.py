"""The id of the request that is being answered: for the lines of the log, and for the audit log.

No Django here: gunicorn's own process logs as well.
"""

from contextvars import ContextVar

NONE = "-"  # as for a command, or a worker of the queue
request_id: ContextVar[str] = ContextVar("request id", default=NONE)

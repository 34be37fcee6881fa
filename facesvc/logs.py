"""What every log line carries."""

import logging
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request id", default="-")


class RequestIdFilter(logging.Filter):
    """Adds the id of the request that is being answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True

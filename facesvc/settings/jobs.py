"""Work that goes on behind the answers: jobs and their workers, callbacks, what is dropped when."""

from facesvc.settings.capacity import FACESVC_TASK_WORKERS
from facesvc.settings.table import Topic

# What has to be done stands in our own tables, and a lost task is queued anew by
# batch.jobs.work.sweep. So django-q2 need only be quick, and must never do anything twice for long.
TASK_SECONDS = 180
Q_CLUSTER = {
    "name": "facesvc",
    "orm": "default",
    "workers": FACESVC_TASK_WORKERS,
    # A task gives way after 5 seconds; one picture or one callback fits in this many times over.
    "timeout": TASK_SECONDS,
    # When a task is given to another worker because nobody acknowledged it. Longer than the
    # timeout, or a running task would be started a second time. Its own default is 60.
    "retry": TASK_SECONDS + 60,
    # A failed task is done with: by default it would come again after every `retry`, for ever.
    "ack_failures": True,
    # With the above the first attempt is the last; 0 would mean no limit.
    "max_attempts": 1,
    # Records of what succeeded are of no use, and keeping a number of them locks them all each
    # time. Failures are kept, until `manage.py purge`.
    "save_limit": -1,
    # Seconds between two looks at an empty queue, and so half of that before a job begins.
    "poll": 0.1,
    # What waits inside one cluster cannot be taken by another.
    "queue_limit": 1,
    "bulk": 1,
    # A sweep missed while no cluster ran need not be made up for.
    "catch_up": False,
}

callbacks = Topic("Callbacks")
WEBHOOK_ALLOWED_HOSTS = callbacks.texts("WEBHOOK_ALLOWED_HOSTS").says(
    "Hosts that a callback may reach although they are private: `name`, or `name:port` for a port "
    "that is not in `FACESVC_WEBHOOK_PORTS`."
)
FACESVC_WEBHOOK_ALLOW_HTTP = callbacks.flag("FACESVC_WEBHOOK_ALLOW_HTTP", False).says(
    "Whether callbacks may go to http addresses."
)
FACESVC_WEBHOOK_PORTS = callbacks.wholes(
    "FACESVC_WEBHOOK_PORTS",
    [443, 80] if FACESVC_WEBHOOK_ALLOW_HTTP else [443],
    shown="`443`; with `FACESVC_WEBHOOK_ALLOW_HTTP` also `80`",
).says("Ports that callbacks may go to.")
FACESVC_WEBHOOK_ROTATION_HOURS = callbacks.whole("FACESVC_WEBHOOK_ROTATION_HOURS", 24).says(
    "A rotated secret signs for so long, beside the new one, unless it is rotated again."
)

retention = Topic("Retention")
FACESVC_BATCH_RETENTION_DAYS = retention.whole("FACESVC_BATCH_RETENTION_DAYS", 7).says(
    "How long `manage.py purge`, which a worker runs daily, keeps ended jobs and callbacks."
)
FACESVC_IDEMPOTENCY_HOURS = retention.whole("FACESVC_IDEMPOTENCY_HOURS", 24).says(
    "How long an answer is given again to the same `Idempotency-Key`."
)
FACESVC_SESSION_RETENTION_DAYS = retention.whole(
    "FACESVC_SESSION_RETENTION_DAYS", 30, (1, 3650)
).says("How long `manage.py purge` keeps sessions and attempts.")
# The database keeps the youngest 30 days in any case.
FACESVC_AUDIT_RETENTION_DAYS = retention.whole(
    "FACESVC_AUDIT_RETENTION_DAYS", 730, (30, 36500)
).says(
    "How long `manage.py purge` keeps events of the audit log, at least 30, and the counts of each "
    "day that the first page of the admin shows."
)

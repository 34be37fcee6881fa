"""Work that goes on behind the answers: jobs and their workers, callbacks, what is dropped when."""

from facesvc.settings.capacity import FACESVC_TASK_WORKERS
from facesvc.settings.table import Topic

# What has to be done stands in our own tables, and batch.jobs.work.sweep queues a lost task again.
# So django-q2 only has to be quick, and must never do anything twice for long.
TASK_SECONDS = 180
Q_CLUSTER = {
    "name": "facesvc",
    "orm": "default",
    "workers": FACESVC_TASK_WORKERS,
    # A task gives way after 5 seconds; one picture or one callback fits in this many times over.
    "timeout": TASK_SECONDS,
    # Seconds after which another worker gets a task that nobody acknowledged. It is longer than
    # the timeout, or a running task would be started a second time. django-q2's default is 60.
    "retry": TASK_SECONDS + 60,
    # By default a failed task would come again after every `retry`, for ever.
    "ack_failures": True,
    # So the first attempt is the last; 0 would mean no limit.
    "max_attempts": 1,
    # Records of what succeeded are of no use, and keeping a number of them locks them all each
    # time. Failures are kept, until `manage.py purge`.
    "save_limit": -1,
    # Seconds between two looks at an empty queue. A job waits for half of that on average.
    "poll": 0.1,
    # No new process after some hundred tasks: it would load the networks again, and end what long
    # tasks do beside the others (batch.queue.long_tasks). No memory grows that it would free.
    "recycle": None,
    # What waits inside one cluster cannot be taken by another.
    "queue_limit": 1,
    "bulk": 1,
    # A sweep that was missed while no cluster ran is not made up for.
    "catch_up": False,
}

callbacks = Topic("Callbacks")
WEBHOOK_ALLOWED_HOSTS = callbacks.texts("WEBHOOK_ALLOWED_HOSTS").says(
    "Hosts that callbacks may reach although their addresses are private: `name`, or `name:port` "
    "for a port that is not in `FACESVC_WEBHOOK_PORTS`."
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
    "Hours that an old secret still signs callbacks beside the new one. The next rotation ends it "
    "earlier."
)

retention = Topic("Retention")
FACESVC_BATCH_RETENTION_DAYS = retention.whole("FACESVC_BATCH_RETENTION_DAYS", 7, (0, 36500)).rules(
    "Days that `manage.py purge`, which a worker runs daily, keeps ended jobs and callbacks."
)
FACESVC_IDEMPOTENCY_HOURS = retention.whole("FACESVC_IDEMPOTENCY_HOURS", 24, (0, 24 * 365)).rules(
    "Hours in which a request with the same `Idempotency-Key` gets the same answer again."
)
FACESVC_SESSION_RETENTION_DAYS = retention.whole(
    "FACESVC_SESSION_RETENTION_DAYS", 30, (1, 3650)
).rules("Days that `manage.py purge` keeps sessions and attempts.")
# The database keeps the youngest 30 days in any case.
FACESVC_AUDIT_RETENTION_DAYS = retention.whole(
    "FACESVC_AUDIT_RETENTION_DAYS", 730, (30, 36500)
).rules(
    "Days that `manage.py purge` keeps events of the audit log, and the daily counts on the first "
    "page of the admin. At least 30."
)

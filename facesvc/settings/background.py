"""Work that goes on behind the answers: jobs and their workers, callbacks, what is dropped when."""

from facesvc.environment import env

# --- Batches --------------------------------------------------------------------------------------
#: Pictures of all jobs that are not done; more are refused with 503.
FACESVC_BATCH_QUEUE_LIMIT = env.int("FACESVC_BATCH_QUEUE_LIMIT", 200_000)
#: Megabytes of pictures of all jobs that are not done; more are refused with 503.
FACESVC_BATCH_QUEUE_MB = env.int("FACESVC_BATCH_QUEUE_MB", 20_000)
#: The same for the jobs of one client or end user.
FACESVC_BATCH_CLIENT_MB = env.int("FACESVC_BATCH_CLIENT_MB", 2_000)
#: Megabytes that stay free on the disk of a database on this machine; a batch that would need them
#: is refused with 503.
FACESVC_FREE_DISK_MB = env.int("FACESVC_FREE_DISK_MB", 500)
#: Seconds that a job may take from its first picture on; then it ends with what it has.
ASYNC_PROCESSING_TIMEOUT = env.int("ASYNC_PROCESSING_TIMEOUT", 300)
#: How long a job may wait for its first picture's turn, as when no worker runs.
FACESVC_BATCH_WAIT_HOURS = env.int("FACESVC_BATCH_WAIT_HOURS", 24)
#: Processes of each `manage.py qcluster`, which work on jobs.
FACESVC_TASK_WORKERS = env.int("FACESVC_TASK_WORKERS", 1)
# One waits for the database while another is computed.
#: Pictures that each of these processes has at once.
FACESVC_TASK_THREADS = env.int("FACESVC_TASK_THREADS", 2)
#: How far these processes give way to others, such as the web server's: from 0 (not at all) to 19.
FACESVC_TASK_NICE = env.int("FACESVC_TASK_NICE", 10)

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

# --- Callbacks ------------------------------------------------------------------------------------
#: Hosts that a callback may reach although they are private: `name`, or `name:port` for a port that
#: is not in `FACESVC_WEBHOOK_PORTS`.
WEBHOOK_ALLOWED_HOSTS: list[str] = env.list("WEBHOOK_ALLOWED_HOSTS", [])
#: Whether callbacks may go to http addresses.
FACESVC_WEBHOOK_ALLOW_HTTP = env.bool("FACESVC_WEBHOOK_ALLOW_HTTP", False)
#: Ports that callbacks may go to.
#: Default: `443`; with `FACESVC_WEBHOOK_ALLOW_HTTP` also `80`
FACESVC_WEBHOOK_PORTS = env.list(
    "FACESVC_WEBHOOK_PORTS", [443, 80] if FACESVC_WEBHOOK_ALLOW_HTTP else [443], subcast=int
)
#: A rotated secret signs for so long, beside the new one, unless it is rotated again.
FACESVC_WEBHOOK_ROTATION_HOURS = env.int("FACESVC_WEBHOOK_ROTATION_HOURS", 24)

# --- Retention ------------------------------------------------------------------------------------
#: How long `manage.py purge`, which a worker runs daily, keeps ended jobs and callbacks.
FACESVC_BATCH_RETENTION_DAYS = env.int("FACESVC_BATCH_RETENTION_DAYS", 7)
#: How long an answer is given again to the same `Idempotency-Key`.
FACESVC_IDEMPOTENCY_HOURS = env.int("FACESVC_IDEMPOTENCY_HOURS", 24)
#: How long `manage.py purge` keeps sessions and attempts.
FACESVC_SESSION_RETENTION_DAYS = env.int("FACESVC_SESSION_RETENTION_DAYS", 30)
#: How long `manage.py purge` keeps events of the audit log, at least 30, and the counts of each day
#: that the first page of the admin shows.
FACESVC_AUDIT_RETENTION_DAYS = env.int("FACESVC_AUDIT_RETENTION_DAYS", 730)

"""django-q2's cluster, and the tasks that wake it."""

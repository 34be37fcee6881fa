"""django-q2's cluster, and the tasks that it is woken by."""

"""What `manage.py doctor` looks at: whether the service has what it needs, and what to do if not.

No check changes anything, and none shows a secret or a person.
"""

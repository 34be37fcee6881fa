"""`manage.py doctor`: whether the service has what it needs, a line each, and what to do."""

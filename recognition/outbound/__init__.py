"""Requests to other services: before a deadline, and not to those that fail."""

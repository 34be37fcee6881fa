"""Requests to other services, over before a deadline."""

"""Broken bodies and pictures by the thousand."""

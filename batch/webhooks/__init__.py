"""Callbacks: signed, sent to where it is safe, and tried again."""

"""Replaces all templates, for another model or another key; no request waits for it."""

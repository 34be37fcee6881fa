"""Galleries that know nothing of each other: a PostgreSQL schema for each collection.

docs/decisions/0024-collections.md says why, and what is shared.
"""

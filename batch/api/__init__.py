"""Batches and their jobs over HTTP."""

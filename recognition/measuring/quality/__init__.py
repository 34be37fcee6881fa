"""Measures from where on a pack recognises a face, and what shows that it does not."""

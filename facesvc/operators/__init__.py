"""The operators' site: its first page, its pages of no single app, and ready groups."""

"""A collection as a file, from one installation to another: docs/backup.md says what it holds."""

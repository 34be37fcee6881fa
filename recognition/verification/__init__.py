"""The verbs verify and compare, and live sessions: a picture against one user (1:1)."""

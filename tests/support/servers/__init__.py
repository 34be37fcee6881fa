"""Servers and programs that stand for those of others."""

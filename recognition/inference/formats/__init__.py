"""Checks encoded pictures before any pixel is decoded; each format has a module.

Each module reads the size from the header, bounds the work that decoding can take, and says which
bytes the decoder gets.
"""

"""Encoded pictures before any pixel is decoded, one module a format.

Each module reads the size from the header, bounds the work that decoding can take, and says which
bytes the decoder gets.
"""

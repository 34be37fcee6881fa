"""Checks of a picture: whether the face is alive, and the picture genuine."""

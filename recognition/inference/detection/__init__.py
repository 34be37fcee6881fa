"""Detectors: a picture to boxes, scores and landmarks."""

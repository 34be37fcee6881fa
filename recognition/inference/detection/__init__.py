"""Detectors: from a picture to boxes, scores and landmarks."""

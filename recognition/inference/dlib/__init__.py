"""Reads dlib's files and converts its networks to ONNX."""

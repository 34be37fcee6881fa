"""dlib's files and networks, converted to ONNX."""

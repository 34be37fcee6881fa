"""OpenVINO's intermediate representation (IR): reads it and converts it to ONNX."""

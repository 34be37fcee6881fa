"""Small networks in OpenVINO's format, written as its own tools write them."""

from __future__ import annotations

from typing import Any

import numpy as np

Port = tuple[int, int]
Numbers = np.ndarray[Any, np.dtype[Any]]

_NAMES = {"float16": "f16", "float32": "f32", "int64": "i64"}


class TinyIr:
    """Collects layers. Each method returns the port that its output comes from."""

    def __init__(self, *shape: int) -> None:
        """A network with one input of floats of this shape."""
        self.layers: list[str] = []
        self.edges: list[str] = []
        self.values = b""
        sizes = ",".join(map(str, shape))
        self.input = self.layer("Parameter", [], name="data", shape=sizes, element_type="f32")

    def layer(
        self, kind: str, inputs: list[Port], *, name: str = "", version: str = "opset1", **data: Any
    ) -> Port:
        number = len(self.layers)
        ports = "".join(f'<port id="{port}" precision="FP32"/>' for port, _ in enumerate(inputs))
        out = len(inputs)
        results = (
            "" if kind == "Result" else f'<port id="{out}" precision="FP32" names="t{number}"/>'
        )
        given = {key.replace("__", "-"): str(value) for key, value in data.items()}
        attributes = " ".join(f'{key}="{value}"' for key, value in given.items())
        self.layers.append(
            f'<layer id="{number}" name="{name or f"{kind}_{number}"}" type="{kind}" '
            f'version="{version}"><data {attributes}/>'
            f"<input>{ports}</input><output>{results}</output></layer>"
        )
        for port, (layer, source) in enumerate(inputs):
            self.edges.append(
                f'<edge from-layer="{layer}" from-port="{source}" to-layer="{number}" '
                f'to-port="{port}"/>'
            )
        return number, out

    def const(self, value: Numbers) -> Port:
        """A constant; half floats are followed by their conversion to floats."""
        element = _NAMES[value.dtype.name]
        raw = np.ascontiguousarray(value).tobytes()
        port = self.layer(
            "Const",
            [],
            element_type=element,
            shape=", ".join(map(str, value.shape)),
            offset=len(self.values),
            size=len(raw),
        )
        self.values += raw
        return self.layer("Convert", [port], destination_type="f32") if element == "f16" else port

    def result(self, port: Port, name: str = "out") -> None:
        self.layer("Result", [port], name=name)

    def xml(self, *, version: str = "11") -> bytes:
        return (
            f'<?xml version="1.0"?><net name="tiny" version="{version}">'
            f"<layers>{''.join(self.layers)}</layers><edges>{''.join(self.edges)}</edges></net>"
        ).encode()

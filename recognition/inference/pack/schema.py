"""Turns plain YAML values into frozen dataclasses, strictly: it guesses and ignores nothing."""

import dataclasses
import math
import types
import typing
from typing import Any, Literal


class SchemaError(ValueError):
    """A value does not fit its declaration; the message says where."""


def build(kind: Any, value: Any, where: str) -> Any:
    """`value` as `kind`: a dataclass, tuple, Literal, union or scalar. Raises SchemaError."""
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _build_union(arguments, value, where)
    if origin is Literal:
        if value not in arguments:
            raise SchemaError(f"{where} must be one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return _build_tuple(arguments, value, where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise SchemaError(f"{where} must be {kind.__name__}")
    if kind is float and not math.isfinite(value):  # no comparison with it would hold
        raise SchemaError(f"{where} must be a finite number")
    return value


def _build_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    """Picks the dataclass that `decoder` names or, without decoders, that the keys fit."""
    if value is None and type(None) in arguments:
        return None
    kinds = [kind for kind in arguments if kind is not type(None)]
    if len(kinds) == 1:
        return build(kinds[0], value, where)
    if not isinstance(value, dict):
        raise SchemaError(f"{where} must be a mapping")
    decoders = {name: kind for kind in kinds for name in _decoders(kind)}
    if decoders:
        decoder = value.get("decoder")
        if decoder not in decoders:
            raise SchemaError(f"{where}.decoder must be one of {', '.join(decoders)}")
        return build(decoders[decoder], value, where)
    best = max(kinds, key=lambda kind: len({f.name for f in dataclasses.fields(kind)} & set(value)))
    return build(best, value, where)


def _decoders(kind: Any) -> tuple[str, ...]:
    """The values of the dataclass's field `decoder`, which is a Literal."""
    return typing.get_args(typing.get_type_hints(kind).get("decoder"))


def _build_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise SchemaError(f"{where} must be a list")
    kinds = [arguments[0]] * len(value) if arguments[1:] == (...,) else list(arguments)
    if len(kinds) != len(value):
        raise SchemaError(f"{where} must have {len(kinds)} values")
    return tuple(
        build(kind, item, f"{where}[{index}]")
        for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise SchemaError(f"{where} must be a mapping")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(map(str, value)) - set(fields)):
        raise SchemaError(f"{where} has unknown keys: {', '.join(unknown)}")
    required = {name for name, f in fields.items() if f.default is dataclasses.MISSING}
    if missing := sorted(required - set(value)):
        raise SchemaError(f"{where} lacks {', '.join(missing)}")
    hints = typing.get_type_hints(kind)
    return kind(
        **{name: build(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    )

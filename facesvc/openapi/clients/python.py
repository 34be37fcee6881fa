"""Makes the calls of facesvc/client, and the types of their answers, of the API description."""

import keyword

from facesvc.openapi.clients import reading
from facesvc.openapi.clients.language import Language
from facesvc.openapi.clients.reading import Argument, Operation
from recognition.api.rendering import Schema

_WIDTH = 100
_MADE = "Made of the API description by `make docs`: to change it, change the API."
_WORDS = {
    **{"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"},
    **{"object": "dict[str, Any]", "picture": "Picture"},
}


def _literal(values: list[object]) -> str:
    return f"Literal[{', '.join(map(_quoted, values))}]"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


_ANSWERS = Language(_WORDS, "list[{}]".format, _literal, str)
# An argument may be what is easy to write.
_ARGUMENTS = Language(
    {**_WORDS, "object": "Json"}, "Sequence[{}]".format, _literal, "answers.{}".format
)


def files() -> dict[str, str]:
    """The text of each made module, by its place in facesvc/client."""
    made = {"answers.py": _answers(), "operations.py": _operations()}
    return made | {f"calls/{_module(tag)}.py": _calls(tag) for tag in reading.tags()}


def _module(tag: str) -> str:
    return tag.replace(" ", "_")


# --- answers.py -----------------------------------------------------------------------------------


def _answers() -> str:
    shapes = reading.named_shapes()
    literals = {name: each for name, each in shapes.items() if "enum" in each}
    objects = {name: each for name, each in shapes.items() if name not in literals}
    return "\n".join(
        [
            f'"""The types of what calls answer, and of what some take.\n\n{_MADE}\n"""\n',
            "from __future__ import annotations\n",
            "from typing import Any, Literal, NotRequired, TypedDict\n",
            "from facesvc.client.call import Id",
            "from facesvc.client.pictures import Picture\n",
            *(_alias(name, each["enum"]) for name, each in literals.items()),
            "",
            *(_typed_dict(name, each) for name, each in objects.items()),
        ]
    )


def _alias(name: str, values: list[object]) -> str:
    line = f"{name} = {_literal(values)}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name} = Literal[", *(f"    {_quoted(each)}," for each in values), "]"])


def _typed_dict(name: str, shape: Schema) -> str:
    properties = shape.get("properties", {})
    required = {*shape.get("required", ())}
    if any("contentEncoding" in each for each in properties.values()):
        required -= {"image_id"}  # the name of the file, if it is left out
    sent_alone = name in reading.shapes_of_users()
    fields = {
        key: kind if key in required else f"NotRequired[{kind}]"
        for key, schema in properties.items()
        for kind in ["Id" if sent_alone and key == "user_id" else _ANSWERS.type(schema)]
    }
    if any(map(keyword.iskeyword, fields)):
        pairs = [f'"{key}": "{kind}"' for key, kind in fields.items()]
        rows = [f"    {{{', '.join(pairs)}}},"]
        if len(rows[0]) > _WIDTH:
            rows = ["    {", *(f"        {pair}," for pair in pairs), "    },"]
        return "\n".join([f"\n{name} = TypedDict(", f'    "{name}",', *rows, ")\n"])
    rows = [f"    {key}: {kind}" for key, kind in fields.items()] or ["    pass"]
    return "\n".join([f"\nclass {name}(TypedDict):", *map(_folded, rows), ""])


def _folded(row: str) -> str:
    """A row with a long list of values, over several lines."""
    start, opened, rest = row.partition("Literal[")
    if len(row) <= _WIDTH or not opened:
        return row
    values, _, after = rest.partition("]")
    rows = [f"        {value}," for value in values.split(", ")]
    return "\n".join([f"{start}Literal[", *rows, f"    ]{after}"])


# --- calls/ ---------------------------------------------------------------------------------------


def _calls(tag: str) -> str:
    functions = "\n\n".join(_function(each) for each in reading.operations() if each.tag == tag)
    names = ["Call", "Id", "Json", "PagedCall", "Time"]
    names += ["id_or_none", "id_text", "key_or_new", "ndjson", "part", "with_ids"]
    used = [name for name in names if f"{name}[" in functions or f"{name}(" in functions]
    used += [name for name in ("Id", "Json", "Time") if _is_used(name, functions)]
    imports = [f"from facesvc.client.call import {', '.join(sorted({*used}, key=_sorting))}"]
    if _is_used("Picture", functions):
        imports.append("from facesvc.client.pictures import Picture")
    collections = [name for name in ("Iterable", "Sequence") if f"{name}[" in functions]
    typing = [name for name in ("Literal",) if f"{name}[" in functions]
    standard = [f"from collections.abc import {', '.join(collections)}"] if collections else []
    standard += [f"from typing import {', '.join(typing)}"] if typing else []
    return "\n".join(
        [
            f'"""The calls about {tag}.\n\n{_MADE}\n"""\n',
            *([*standard, ""] if standard else []),
            "from facesvc.client import answers",
            *imports,
            f"\n\n{functions}",
        ]
    )


def _is_used(name: str, functions: str) -> bool:
    return any(f"{before}{name}{after}" in functions for before in " [" for after in ",] |)\n")


def _sorting(name: str) -> tuple[bool, str]:
    """As ruff sorts: classes before functions."""
    return name[0].islower(), name


def _function(operation: Operation) -> str:
    call, answer = "Call", f"answers.{operation.answer}" if operation.answer else "bytes"
    if operation.other_answer:
        answer += f" | answers.{operation.other_answer}"
    if operation.page:
        call, answer = "PagedCall", f"{answer}, {_item(operation)}"
    by_place = [each for each in operation.arguments if each.is_required or each.is_picture]
    by_name = [each for each in operation.arguments if each not in by_place]
    rows = [*map(_parameter, by_place), *(["*"] if by_name else []), *map(_parameter, by_name)]
    parameters = "".join(f"    {row},\n" for row in rows)
    head = f"def {operation.name}(\n{parameters})" if rows else f"def {operation.name}()"
    given = "".join(f"        {row},\n" for row in _given(operation))
    return (
        f"{head} -> {call}[{answer}]:\n"
        f'    """{operation.summary.rstrip(".")}."""\n'
        f"    return {call}(\n{given}    )\n"
    )


def _parameter(argument: Argument) -> str:
    left_out = "" if argument.is_required else " | None = None"
    return f"{argument.name}: {_type(argument)}{left_out}"


def _item(operation: Operation) -> str:
    shape = reading.description()["components"]["schemas"][operation.answer]
    return _ARGUMENTS.type(shape["properties"][operation.page]["items"])


def _type(argument: Argument) -> str:
    if "lines" in argument.schema:
        return "bytes | Iterable[Json]"
    if argument.is_id:
        return "Id"
    if argument.schema.get("format") == "date-time":
        return "Time"
    if argument.is_pictures and "$ref" in argument.schema["items"]:
        item = argument.schema["items"]
        alone = set(reading.shape(item)["required"]) <= {"image", "image_id"}
        return f"Sequence[{_ARGUMENTS.type(item)}{' | Picture' * alone}]"
    return _ARGUMENTS.type(argument.schema)


def _given(operation: Operation) -> list[str]:
    """The arguments of the Call."""
    path = f'"{operation.path}"'
    for each in operation.at("path"):
        path = path.replace(f"{{{each.name}}}", f"{{part({each.name})}}")
    rows = [f'method="{operation.method}"', f"path={'f' * ('{' in path)}{path}"]
    rows.append(f"is_repeatable={operation.is_repeatable}")
    rows += [f'items="{operation.page}"'] if operation.page else []
    rows += _mapping("query", operation.at("query")) + _mapping("headers", operation.at("header"))
    body = operation.at("body")
    if operation.takes_lines:
        return [*rows, "lines=ndjson(lines)"]
    pictures = [each for each in body if each.is_picture]
    several = [f"images={_value(each)}" for each in body if each.is_pictures]
    if pictures or several:
        others = [each for each in body if not (each.is_picture or each.is_pictures)]
        return [*rows, *_mapping("form", others), *_mapping("pictures", pictures), *several]
    return [*rows, *_mapping("body", body)]


def _mapping(name: str, arguments: list[Argument]) -> list[str]:
    if not arguments:
        return []
    rows = "".join(f'            "{each.sent}": {_value(each)},\n' for each in arguments)
    return [f"{name}={{\n{rows}        }}"]


def _value(argument: Argument) -> str:
    if argument.name == "idempotency_key":
        return f"key_or_new({argument.name})"
    if argument.is_id:
        return f"{'id_text' if argument.is_required else 'id_or_none'}({argument.name})"
    if argument.names_users:
        return f"with_ids({argument.name})"
    return argument.name


# --- operations.py --------------------------------------------------------------------------------


def _operations() -> str:
    modules = sorted(map(_module, reading.tags()))
    rows = []
    for each in reading.operations():
        place = f"{_module(each.tag)}.{each.name}"
        rows.append(f"    {each.name} = Method({place})")
        if each.page:
            rows.append(f"    {each.name.replace('list_', 'iter_', 1)} = AllPages({place})")
    imports = [
        "from facesvc.client.binding import AllPages, Method",
        "from facesvc.client.calls import (",
        *(f"    {module}," for module in modules),
        ")",
    ]
    return "\n".join(
        [
            f'"""All calls as methods of both clients.\n\n{_MADE}\n"""\n',
            *imports,
            "\n\nclass Operations:",
            '    """A method for each operation; `iter_...` for all pages."""\n',
            *rows,
            "",
        ]
    )

"""Makes the operations of the JavaScript client, and its types, of the API description."""

import json
import re
from collections.abc import Iterator

from facesvc.openapi.clients import reading
from facesvc.openapi.clients.language import Language
from facesvc.openapi.clients.reading import Argument, Operation
from recognition.api.rendering import Schema

START, END = "// --- made of the API description by `make docs`", "// --- end of what is made"

TYPES = Language(
    {
        **{"string": "string", "integer": "number", "number": "number", "boolean": "boolean"},
        **{"null": "null", "object": "Record<string, unknown>", "picture": "Blob"},
    },
    "Array<{}>".format,
    lambda values: " | ".join(map(json.dumps, values)),
    str,
)
_ABOVE = """\
/**
 * The types of api.js.
 *
 * Made of the API description by `make docs`: to change them, change the API.
 */

export interface Options {
  /** Ends the request. */
  signal?: AbortSignal;
  /** Sends it even if the page is left. */
  keepalive?: boolean;
  /** How often it is tried, 4 times if left out. */
  most?: number;
}

export class ApiError extends Error {
  constructor(error: {
    code: string;
    message: string;
    details?: Record<string, unknown>;
    status?: number;
    retryAfter?: number;
    requestId?: string;
  });
  /** One of docs/errors.md; `unreachable` and `no_json` where no answer of the service came. */
  code: string;
  details: Record<string, unknown>;
  status: number;
  /** Seconds. */
  retryAfter: number;
  requestId: string;
}

/** The request of a `request` event as a curl command. */
export function curlOf(detail: Record<string, unknown>, origin: string): string;
export function uuid(): string;
"""
_CLASS = """\
export class FaceApi extends EventTarget {
  constructor(options: {token: string; base?: string});
  token: string;
  base: string;
  /** The limit of the token as the last answer said it. */
  limit: {remaining: number; reset: number} | null;
  /** What the token says of itself. */
  readonly claims: {sub?: string; exp?: number; scope?: string};
"""


def operations() -> str:
    """The table of api.js, from START to END."""
    rows = "".join(f"  {_camel(each.name)}: {_row(each)},\n" for each in reading.operations())
    return f"{START}\nconst OPERATIONS = {{\n{rows}}};\n{END}"


def types() -> str:
    """The text of api.d.ts."""
    shapes = reading.named_shapes()
    return "\n".join(
        [
            _ABOVE,
            *(_shape(name, shape) for name, shape in shapes.items()),
            *(_arguments(each) for each in reading.operations() if each.arguments),
            _CLASS + "".join(map(_method, reading.operations())) + _each() + "}\n",
        ]
    )


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def _pascal(name: str) -> str:
    return _camel(f"_{name}")


def _row(operation: Operation) -> str:
    pairs = [f'method: "{operation.method}"', f'path: "{operation.path}"']
    body = operation.at("body")
    has_files = any(each.is_picture or each.is_pictures for each in body)
    if query := operation.at("query"):
        pairs.append(f"query: {_names(query)}")
    if headers := [each for each in operation.at("header") if each.name != "idempotency_key"]:
        named = ", ".join(f"{each.name}: {json.dumps(each.sent)}" for each in headers)
        pairs.append(f"headers: {{{named}}}")
    if operation.takes_lines:
        pairs.append("isLines: true")
    elif body:
        pairs.append(f"{'form' if has_files else 'json'}: {_names(body)}")
    pairs += [f'items: "{operation.page}"'] if operation.page else []
    pairs += ["hasKey: true"] if operation.has_key else []
    pairs += ["isSafe: true"] if operation.is_repeatable else []
    return f"{{{', '.join(pairs)}}}"


def _names(arguments: list[Argument]) -> str:
    return json.dumps([each.name for each in arguments])


def _shape(name: str, shape: Schema) -> str:
    if "enum" in shape:
        return f"export type {name} = {TYPES.type(shape)};\n"
    required = {*shape.get("required", ())}
    properties = shape.get("properties", {})
    if any("contentEncoding" in each for each in properties.values()):
        required -= {"image_id"}  # the name of the file, if it is left out
    rows = [
        f"{_said(schema)}  {key}{'' if key in required else '?'}: {TYPES.type(schema)};\n"
        for key, schema in properties.items()
    ]
    return f"export interface {name} {{\n{''.join(rows)}}}\n"


def _arguments(operation: Operation) -> str:
    rows = "".join(
        f"{_said(each.schema)}  {each.name}{'' if each.is_required else '?'}: {_type(each)};\n"
        for each in operation.arguments
    )
    return f"export interface {_pascal(operation.name)}Arguments {{\n{rows}}}\n"


def _type(argument: Argument) -> str:
    if "lines" in argument.schema:
        return "string | Blob"
    return TYPES.type(argument.schema)


def _said(schema: Schema) -> str:
    """The description as a comment; the list of values that DRF adds is in the type."""
    text = schema.get("description", "").partition("\n\n*")[0]
    text = "" if text.startswith("* ") else " ".join(text.split())
    return f"  /** {text} */\n" if text else ""


def _method(operation: Operation) -> str:
    answer = operation.answer or "Blob"
    answer += f" | {operation.other_answer}" if operation.other_answer else ""
    is_needed = any(each.is_required for each in operation.arguments)
    kind = f"{_pascal(operation.name)}Arguments" if operation.arguments else "Record<string, never>"
    given = f"args{'' if is_needed else '?'}: {kind}, options?: Options"
    summary = operation.summary.rstrip(".")
    return f"  /** {summary}. */\n  {_camel(operation.name)}({given}): Promise<{answer}>;\n"


def _each() -> str:
    """The iterator over the items of all pages, for each list."""
    return "".join(_iterators())


def _iterators() -> Iterator[str]:
    shapes = reading.description()["components"]["schemas"]
    yield "  /** Iterates over the items of all pages of a list. */\n"
    for each in reading.operations():
        if each.page:
            item = TYPES.type(shapes[each.answer]["properties"][each.page]["items"])
            kind = f"{_pascal(each.name)}Arguments"
            optional = "" if any(one.is_required for one in each.arguments) else "?"
            name = f'"{_camel(each.name)}"'
            yield f"  each(name: {name}, args{optional}: {kind}): AsyncGenerator<{item}>;\n"

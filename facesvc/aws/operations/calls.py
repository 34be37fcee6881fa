"""An operation of AWS: what it takes, which scope it needs, and what does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from facesvc.aws.errors import AwsError
from facesvc.aws.keys import Key
from facesvc.aws.operations import shapes
from facesvc.aws.operations.shapes import Shape
from recognition.access import Caller

Answer = dict[str, Any]
Shapes = Mapping[str, Shape]
NOTHING: Shapes = MappingProxyType({})


@dataclass(frozen=True)
class AwsCall:
    """One request, whose signature is right. `fields` are checked."""

    operation: str
    key: Key
    fields: Mapping[str, Any]

    @property
    def caller(self) -> Caller:
        return self.key.caller


@dataclass(frozen=True)
class AwsOperation:
    """`is_about_collections`: it works on collections, and not in one."""

    name: str
    scope: str
    needed: Shapes
    taken: Shapes
    is_about_collections: bool
    run: Callable[[AwsCall], Answer]

    def call(self, key: Key, given: Mapping[str, Any]) -> AwsCall:
        """Raises AccessDeniedException and what the shapes refuse."""
        if self.scope not in key.caller.scopes:
            raise AwsError(
                "AccessDeniedException",
                f"User: {key.caller.subject} is not authorized to perform: rekognition:{self.name} "
                f"because the key lacks the scope {self.scope}",
            )
        return AwsCall(self.name, key, shapes.read(given, self.needed, self.taken))


def operation(
    scope: str,
    needed: Shapes,
    taken: Shapes = NOTHING,
    *,
    is_about_collections: bool = False,
) -> Callable[[Callable[[AwsCall], Answer]], AwsOperation]:
    """Declares a function `list_faces` as the operation ListFaces."""

    def declared(run: Callable[[AwsCall], Answer]) -> AwsOperation:
        name = "".join(part.capitalize() for part in run.__name__.split("_"))
        return AwsOperation(name, scope, needed, taken, is_about_collections, run)

    return declared

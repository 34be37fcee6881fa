"""Whether an engine is still the active one, and the one way to meet a change of the model.

A verb computes before its transaction begins. If the model changes in between, the templates that
it would compare with may be gone, and a template that it would store would be missed. It finds that
out by `require` or `hold`, and everything under `once_more` is done again with the new engine.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from recognition.packs import engine
from recognition.packs.engine import Engine
from recognition.prepared import fetched

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class ModelChangedError(Exception):
    """An engine is no longer the active one; what it computed is of no use."""


def once_more(verb: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Do it again whenever the model has changed under it. Its transaction must be its own."""

    @wraps(verb)
    def until_the_model_stays(*args: _Parameters.args, **fields: _Parameters.kwargs) -> _Result:
        while True:
            try:
                return verb(*args, **fields)
            except ModelChangedError:
                continue

    return until_the_model_stays


def require(serving: Engine) -> None:
    """Raises ModelChangedError."""
    row = engine.active_model()
    _compare(serving, row.pack, row.template_key)


def hold(serving: Engine) -> None:
    """As `require`; the engine then stays active until the end of the transaction."""
    # A shared lock, which the ORM cannot ask for: enrolments do not wait for each other.
    (row,) = fetched("SELECT pack, template_key FROM recognition_activemodel FOR SHARE")
    _compare(serving, *row)


def _compare(serving: Engine, pack: str, template_key: str) -> None:
    if (pack, template_key) != (serving.pack.name, serving.template_key):
        raise ModelChangedError

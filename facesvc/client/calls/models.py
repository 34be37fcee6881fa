"""The calls about models.

Made of the API description by `make docs`: to change it, change the API.
"""

from facesvc.client import answers
from facesvc.client.call import Call


def list_models() -> Call[answers.ModelList]:
    """List the models, and what their scores mean."""
    return Call(
        method="GET",
        path="models",
        is_repeatable=True,
    )

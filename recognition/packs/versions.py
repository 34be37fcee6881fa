"""The versions of templates: only templates of one version are compared.

    dlib_v1~5e1b60c2+8f1a2b3c

These are the version of the embeddings, the mark of the pack's cohort behind a tilde, and the key
that protects the templates behind a plus sign. The last two may be missing.
"""

from django.db import DatabaseError
from django.db.models import Q

from recognition.inference.pack.declaration import ModelPack
from recognition.models import Template
from recognition.packs import protection


def version_of(of: ModelPack, template_key: str) -> str:
    """The version of templates made by a pack and protected by a key."""
    return f"{of.template_version}+{template_key}" if template_key else of.template_version


def without_key(version: str) -> str:
    """The version of the pack that made these templates."""
    return version.partition("+")[0]


def key_of(version: str) -> str:
    """The key that protects these templates, or NO_KEY."""
    return version.partition("+")[2]


def is_same_embedding(version: str, of: ModelPack) -> bool:
    """Whether templates of a version hold the embeddings of a pack, under a key that is known."""
    known = key_of(version) in (protection.NO_KEY, *protection.key_ids())
    return known and without_key(version).partition("~")[0] == of.embedding_version


def has_templates(of: ModelPack) -> bool:
    """Whether there are templates that a pack made, under any key; none without a database."""
    version = Q(embedding_version=of.template_version)
    under_key = Q(embedding_version__startswith=f"{of.template_version}+")
    try:
        return Template.objects.filter(version | under_key).exists()
    except DatabaseError:
        return False

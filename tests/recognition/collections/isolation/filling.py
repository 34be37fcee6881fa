"""A collection full of what nobody else may see, and another with a few things of its own."""

from dataclasses import dataclass
from uuid import UUID

from batch.models import Item, Job
from recognition.collections.current import Entered, entered
from recognition.enrolment import lookalikes
from recognition.models import AuditEvent, Face, PossibleDuplicate, Session, User
from tests.api.routes import Ids
from tests.support.builders import (
    FRIEND,
    OWNER,
    FakePipeline,
    befriend,
    make_face,
    make_group,
    make_user,
    vector,
)
from tests.support.everywhere import NAME, ZOE, Life

# In no answer of another collection.
GROUP = "hiking"
SECRETS = (NAME, "Quirkington", ZOE.hex, str(ZOE), GROUP, "her phone", "picnic")
# No collection has users of these ids.
NOBODY, NOBODYS_FRIEND = (UUID(f"0000000f-0000-4000-8000-00000000000{n}") for n in "ef")
OWN_GROUP, OWN_FACE = "chess", "face_00000000000a"


@dataclass(frozen=True)
class Filled:
    """`ids` are those that a request may name; `secrets` are what no other one may answer."""

    ids: Ids
    secrets: tuple[str, ...]


def fill(place: Entered, fake: FakePipeline) -> Filled:
    """Zoë's life in a collection, but for what operators do: hers is in every table there."""
    with entered(place):
        life = Life(fake)
        life.be_enrolled()
        life.meet_people()
        life.be_verified()
        life.be_in_batches()
        while lookalikes.search_next():
            pass
        return _filled()


def _filled() -> Filled:
    face_ids = [*Face.objects.order_by("pk").values_list("face_id", flat=True)]
    sessions = [str(key) for key in Session.objects.values_list("pk", flat=True)]
    jobs = [job.job_id for job in Job.objects.order_by("pk")]
    duplicate = PossibleDuplicate.objects.earliest("pk")
    ids = {
        "user_id": str(ZOE),
        "other_id": str(FRIEND),
        "face_id": face_ids[0],
        "name": GROUP,
        "session_id": sessions[0],
        "job_id": jobs[0],
        "duplicate_id": f"{duplicate.pk:d}",
        "display_name": NAME,
        "collection": "bank",
    }
    assert User.objects.filter(pk=ZOE).exists() and AuditEvent.objects.exists()
    assert Item.objects.filter(image_id="picnic").exists()
    return Filled(ids, (*SECRETS, *face_ids, *sessions, *jobs))


def nowhere() -> Ids:
    """Ids of the same shape, of what does not exist."""
    return {
        "user_id": str(NOBODY),
        "other_id": str(NOBODYS_FRIEND),
        "face_id": "face_ffffffffffff",
        "name": "diving",
        "session_id": str(NOBODY),
        "job_id": "job_ffffffffffffffff",
        "duplicate_id": "999999999999",
        "display_name": "Zoë Quirkingtom",
        "collection": "bonk",
    }


def begin(place: Entered) -> Ids:
    """Some things that are there. The ids are in no other collection."""
    with entered(place):
        owner, other = make_user(OWNER, "public"), make_user(UUID(int=OWNER.int + 1))
        befriend(owner, other)
        make_group(OWN_GROUP, owner)
        make_face(owner, vector(5), face_id=OWN_FACE)
    return {"own_id": str(OWNER), "own_face": OWN_FACE, "own_group": OWN_GROUP}

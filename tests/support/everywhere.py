"""A person who has left something in every table that can hold something of a person."""

import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import numpy as np
from cryptography.fernet import Fernet
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User as Account
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from django_q.models import Task
from pytest_django import Settings

from batch.jobs import work
from batch.models import Item, Job
from batch.webhooks import callbacks
from management import moderation
from recognition.access import SCOPES
from recognition.models import User
from tests.support.builders import (
    FRIEND,
    PICTURE_BASE64,
    STRANGER,
    FakePipeline,
    Person,
    data_of,
    near,
    service_token,
    user_token,
    vector,
)
from tests.support.photos import encode

# In no other row of any test, with a letter that JSON may write otherwise.
ZOE, NAME = UUID("5eed0f2e-1a5b-4c3d-9e8f-a1b2c3d4e5f6"), "Zoë Quirkington"
# An account of hers that was merged into it.
OLD_ZOE = UUID("0adeadbe-ef00-4c3d-9e8f-a1b2c3d4e5f6")
HERS, ALSO_HERS = vector(1), near(vector(1), 0.93)
NOBODYS = vector(9)
JOB = {"async": True, "callback_url": "http://localhost:9/done"}
CONSENT = {"given_at": "2024-01-20T10:30:00Z", "text_version": "2024-01"}


def allow(settings: Settings) -> None:
    """What the life needs besides the defaults."""
    settings.FACESVC_CROP_KEYS = [Fernet.generate_key().decode()]
    settings.STORE_FACE_CROPS = True
    settings.RATE_LIMIT_PER_HOUR = 10_000
    settings.FACESVC_LIVE_FRAMES_PER_SECOND = 1000
    settings.WEBHOOK_ALLOWED_HOSTS = ["localhost:9"]
    settings.FACESVC_WEBHOOK_ALLOW_HTTP = True


class Life:
    """Lived through the API, by her own calls, a service's and an operator's."""

    def __init__(self, fake: FakePipeline) -> None:
        self.fake = fake
        self.zoe = Person(user_token(ZOE, [*SCOPES[:-1]]), Client())
        self.app = Person(service_token(), Client())
        self.admin = Person(service_token("moderation", SCOPES), Client())
        self._pictures = 0

    def live(self) -> None:
        self.be_enrolled()
        self.meet_people()
        self.be_verified()
        self.be_in_batches()
        self.be_merged()
        self.be_looked_at_by_operators()

    def picture(self) -> bytes:
        """Another one every time."""
        self._pictures += 1
        return encode(np.full((48, 64, 3), self._pictures, np.uint8))

    def be_enrolled(self) -> None:
        fields = {"display_name": NAME, "privacy_level": "public"}
        self.app.put(f"users/{ZOE}", **fields, profile_image=f"https://app.example/{ZOE}.jpg")
        metadata = {"who": NAME, "consent": CONSENT}
        for number, embedding in enumerate((HERS, ALSO_HERS)):
            self.fake.show(embedding)
            fields = {"user_id": str(ZOE), "image": PICTURE_BASE64, "metadata": metadata}
            headers = {"Idempotency-Key": f"face-{number}-of-{ZOE}"}
            answer = self.app.send("post", "register", fields, headers=headers)
            face_id = data_of(answer, 201)["face_id"]
        data_of(self.zoe.put(f"faces/{face_id}", face_group=NAME))

    def meet_people(self) -> None:
        """A friend, a group, and a stranger whose face is the same."""
        self.fake.show(near(HERS, 0.995, toward=50))
        self.app.post("register", user_id=STRANGER, image=PICTURE_BASE64)
        data_of(self.app.put(f"users/{FRIEND}", privacy_level="public"), 201)
        data_of(self.app.put(f"users/{ZOE}/friends/{FRIEND}"), 201)
        data_of(self.app.put("groups/hiking"), 201)
        data_of(self.app.put(f"groups/hiking/members/{ZOE}"), 201)

    def be_verified(self) -> None:
        self.fake.varies = True  # photos of one person differ
        opened = {"user_id": str(ZOE), "purpose": "login", "metadata": {"device_id": "her phone"}}
        login = data_of(self.zoe.post("sessions", **opened), 201)["session_id"]
        metadata = {"session_id": login, "device_id": "her phone"}
        self._verify(self.zoe, HERS, metadata)
        for person in (self.zoe, self.app):
            self._verify(person, NOBODYS, {"device_id": "a stranger's"})
        call = data_of(self.app.post("sessions", user_id=ZOE, purpose="video_call"), 201)
        self.fake.show(HERS)
        for _ in range(4):
            path = f"sessions/{call['session_id']}/frames"
            data_of(self.app.send("post", path, self.picture(), content_type="image/png"))
        # A call that has just begun, by her own phone.
        begun = data_of(self.zoe.post("sessions", user_id=ZOE, purpose="video_call"), 201)
        path = f"sessions/{begun['session_id']}/frames"
        data_of(self.zoe.send("post", path, self.picture(), content_type="image/png"))
        self.fake.varies = False

    def _verify(self, person: Person, shown: Any, metadata: dict[str, str]) -> None:
        self.fake.show(shown)
        path = "verify?" + urlencode({"user_id": ZOE, "metadata": json.dumps(metadata)})
        data_of(person.send("post", path, self.picture(), content_type="image/png"))

    def be_in_batches(self) -> None:
        """Done and waiting ones: for her, by her, with her in the results, on her behalf."""
        search = [{"image_id": "party", "image": PICTURE_BASE64}]
        hers = {"user_id": str(ZOE), "metadata": {"who": NAME}, "face_group": NAME}
        self.fake.show(vector(3), vector(3), [], [vector(3), HERS, NOBODYS])
        enrol = [
            *({"image_id": f"{NAME} {n}", "image": PICTURE_BASE64, **hers} for n in range(3)),
            {"image_id": f"{NAME} 3", "image": "?", **hers},
        ]
        self._submit(self.app, "batch-register", images=enrol)
        self._submit(self.app, "batch-identify", images=search, group_unknown=True)
        self._submit(self.zoe, "batch-identify", images=search)
        work.work()
        callbacks.deliver_due()
        headers = {"Idempotency-Key": "who-is-at-the-party"}
        data_of(self.app.send("post", "batch-identify", {"images": search}, headers=headers))
        self._submit(self.app, "batch-register", images=enrol)
        album = [*search, {"image_id": "picnic", "image": PICTURE_BASE64}]
        fields = {"images": album, "on_behalf_of": str(ZOE), "group_unknown": True}
        self._submit(self.app, "batch-identify", **fields)
        # The first picture is done, with a face of nobody. The second one waits.
        work.process(Item.objects.filter(job__options__on_behalf_of=str(ZOE)).earliest("pk"))
        self._submit(self.zoe, "batch-identify", images=search)

    def _submit(
        self, person: Person, path: str, *, group_unknown: bool = False, **fields: Any
    ) -> None:
        headers = {"Idempotency-Key": f"{path}-{Job.objects.count()}-{ZOE.hex.upper()}"}
        more = {"group_unknown": True} if group_unknown else {}
        fields["processing_options"] = {**JOB, **more}
        data_of(person.send("post", path, fields, headers=headers), 202)

    def be_merged(self) -> None:
        self.fake.show(near(HERS, 0.995, toward=51))
        data_of(self.app.post("register", user_id=OLD_ZOE, image=PICTURE_BASE64), 201)
        call_command("find_duplicates")  # the new faces wait for a worker all the same
        both = {"user_id": OLD_ZOE, "into": ZOE, "privacy_level": "public"}
        moderation.merge_users(actor="service:moderation", **both)
        call_command("find_duplicates")

    def be_looked_at_by_operators(self) -> None:
        call_command("webhook_secret", str(ZOE))
        operator, client = Account.objects.create_superuser("moderator"), Client()
        client.force_login(operator)
        user = User.objects.get(pk=ZOE)
        of_users = ContentType.objects.get_for_model(User).pk
        for changed in (user, *user.faces.all(), *user.attempts.all()):
            LogEntry.objects.create(
                user_id=operator.pk,
                content_type_id=of_users if changed is user else None,
                object_id=str(changed.pk),
                object_repr=str(changed),
                action_flag=CHANGE,
            )
        found = {"_selected_action": [user.failure_counts.first().pk], "action": "unlock"}
        client.post("/admin/recognition/failurecount/", found)
        self._verify(self.app, NOBODYS, {})
        # As django-q2 stores it, which would close the connection of the test.
        times = {"started": timezone.now(), "stopped": timezone.now()}
        row = f"Failing row contains ({ZOE}, {NAME})"
        Task.objects.create(
            id="0" * 32, func="batch.tasks.work", result=row, success=False, **times
        )

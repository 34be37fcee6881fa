from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.db.models.signals import pre_delete

from faces.client import faces
from facesvc.client import ApiError


class FacesConfig(AppConfig):
    name = "faces"

    def ready(self):
        pre_delete.connect(erase, sender=get_user_model())


def erase(instance, **others):
    """Erase the face before the user. If the service is away, the user stays, and can be deleted
    later: a face without a user would stay for ever."""
    try:
        faces().erase_user(instance.pk)
    except ApiError as error:
        if error.code != "user_not_found":  # nothing was ever held
            raise

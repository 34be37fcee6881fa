from django.conf import settings
from django.db import models


class Photo(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    file = models.FileField(upload_to="photos")
    looked_at = models.DateTimeField(null=True)  # when its suggestions came
    problem = models.CharField(max_length=40, blank=True)  # why none came: a code of docs/errors.md

    def __str__(self):
        return self.file.name


class Suggestion(models.Model):
    """A face of a photo, and who it may be. It becomes a tag when the owner confirms it."""

    photo = models.ForeignKey(Photo, models.CASCADE)
    box = models.JSONField()  # in pixels of the photo: x, y, width, height
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True)
    confidence = models.FloatField(null=True)
    is_confirmed = models.BooleanField(null=True)

    def __str__(self):
        return f"{self.user or 'somebody'} on {self.photo}"

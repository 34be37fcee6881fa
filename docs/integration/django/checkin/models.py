from django.conf import settings
from django.db import models


class Visit(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return f"{self.user} at {self.at}"

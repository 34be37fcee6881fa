"""What this app keeps: nothing of people, and secrets that are sealed."""

from facesvc.aws.models import AccessKey
from recognition.privacy.keeping import KEEPS, Keeps

KEEPS.append(Keeps(sealed=(AccessKey,)))

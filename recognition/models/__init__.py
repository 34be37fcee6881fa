"""All tables, for everybody else: the modules beside this one have them by what they are of.

Migrations name `new_face_id` as of here.
"""

from recognition.models.audit import AuditEvent as AuditEvent
from recognition.models.counts import CountedKind as CountedKind
from recognition.models.counts import DailyCount as DailyCount
from recognition.models.duplicates import DuplicateSearch as DuplicateSearch
from recognition.models.duplicates import MergedUser as MergedUser
from recognition.models.duplicates import PossibleDuplicate as PossibleDuplicate
from recognition.models.faces import ActiveModel as ActiveModel
from recognition.models.faces import Face as Face
from recognition.models.faces import FaceCrop as FaceCrop
from recognition.models.faces import Taggable as Taggable
from recognition.models.faces import Template as Template
from recognition.models.faces import new_face_id as new_face_id
from recognition.models.graph import Friendship as Friendship
from recognition.models.graph import Group as Group
from recognition.models.graph import Membership as Membership
from recognition.models.listings import GalleryCount as GalleryCount
from recognition.models.listings import Listing as Listing
from recognition.models.listings import PublicSketch as PublicSketch
from recognition.models.listings import Sketch as Sketch
from recognition.models.listings import SketchCentre as SketchCentre
from recognition.models.people import PrivacyLevel as PrivacyLevel
from recognition.models.people import User as User
from recognition.models.requests import IdempotencyKey as IdempotencyKey
from recognition.models.requests import RateWindow as RateWindow
from recognition.models.sessions import Attempt as Attempt
from recognition.models.sessions import FailureCount as FailureCount
from recognition.models.sessions import RecentProbe as RecentProbe
from recognition.models.sessions import Session as Session

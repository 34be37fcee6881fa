"""All tables. Everything but the modules beside this one imports them from here.

Migrations name `recognition.models.new_face_id`.
"""

from recognition.models.duplicates import DuplicateSearch as DuplicateSearch
from recognition.models.duplicates import MergedUser as MergedUser
from recognition.models.duplicates import NewFace as NewFace
from recognition.models.duplicates import PossibleDuplicate as PossibleDuplicate
from recognition.models.graph import Friendship as Friendship
from recognition.models.graph import Group as Group
from recognition.models.graph import Membership as Membership
from recognition.models.listings import GalleryCount as GalleryCount
from recognition.models.listings import Listing as Listing
from recognition.models.listings import PublicSketch as PublicSketch
from recognition.models.listings import Sketch as Sketch
from recognition.models.listings import SketchCentre as SketchCentre
from recognition.models.measurements import Measurement as Measurement
from recognition.models.measurements import MeasurementState as MeasurementState
from recognition.models.people import ActiveModel as ActiveModel
from recognition.models.people import Face as Face
from recognition.models.people import FaceCrop as FaceCrop
from recognition.models.people import PrivacyLevel as PrivacyLevel
from recognition.models.people import Taggable as Taggable
from recognition.models.people import Template as Template
from recognition.models.people import User as User
from recognition.models.people import new_face_id as new_face_id
from recognition.models.records import AuditEvent as AuditEvent
from recognition.models.records import CountedKind as CountedKind
from recognition.models.records import DailyCount as DailyCount
from recognition.models.records import IdempotencyKey as IdempotencyKey
from recognition.models.records import RateWindow as RateWindow
from recognition.models.sessions import Attempt as Attempt
from recognition.models.sessions import FailureCount as FailureCount
from recognition.models.sessions import RecentProbe as RecentProbe
from recognition.models.sessions import Session as Session

"""The tables of batches: a module for each topic."""

from batch.models.callbacks import DeliveryState as DeliveryState
from batch.models.callbacks import WebhookAttempt as WebhookAttempt
from batch.models.callbacks import WebhookDelivery as WebhookDelivery
from batch.models.callbacks import WebhookEndpoint as WebhookEndpoint
from batch.models.callbacks import WebhookSecret as WebhookSecret
from batch.models.callbacks import new_message_id as new_message_id
from batch.models.callbacks import without_query as without_query
from batch.models.jobs import Item as Item
from batch.models.jobs import ItemState as ItemState
from batch.models.jobs import Job as Job
from batch.models.jobs import Kind as Kind
from batch.models.jobs import Picture as Picture
from batch.models.jobs import Status as Status
from batch.models.jobs import UnknownFaces as UnknownFaces
from batch.models.jobs import UnknownPerson as UnknownPerson
from batch.models.jobs import erased_image_id as erased_image_id
from batch.models.jobs import new_job_id as new_job_id

"""Collections: CreateCollection, DescribeCollection, ListCollections, DeleteCollection."""

from facesvc.aws import keys
from facesvc.aws.errors import AwsError, invalid, not_found
from facesvc.aws.operations import pages, shapes
from facesvc.aws.operations.calls import Answer, AwsCall, Shapes, operation
from management import naming, own_collections
from recognition.access import OVER_COLLECTIONS
from recognition.collections.current import DEFAULT
from recognition.packs import engine

_COLLECTION: Shapes = {"CollectionId": shapes.COLLECTION_ID}
_USUAL_PAGE = 1000


@operation(OVER_COLLECTIONS, _COLLECTION, is_about_collections=True)
def create_collection(call: AwsCall) -> Answer:
    name = call.fields["CollectionId"]
    if not call.key.opens.collection.is_default:
        message = f"Only a key of the collection {DEFAULT.name} makes collections."
        raise AwsError("AccessDeniedException", message)
    if name == DEFAULT.name or own_collections.create(caller=call.caller, name=name) is None:
        # Another service may have it: names are those of the whole installation.
        raise AwsError(
            "ResourceAlreadyExistsException", f"The collection id: {name} already exists"
        )
    version = engine.current().pack.template_version
    return {"StatusCode": 200, "CollectionArn": arn(name), "FaceModelVersion": version}


@operation("face:manage", _COLLECTION)
def describe_collection(call: AwsCall) -> Answer:
    name = call.fields["CollectionId"]
    faces, users = naming.counts()
    return {
        "FaceCount": faces,
        "UserCount": users,
        "FaceModelVersion": engine.current().pack.template_version,
        "CollectionARN": arn(name),
        "CreationTimestamp": own_collections.made_at(name).timestamp(),
    }


@operation(
    "face:manage",
    {},
    {"MaxResults": shapes.Whole(0, 4096), "NextToken": shapes.NEXT_TOKEN},
)
def list_collections(call: AwsCall) -> Answer:
    """The key's own, and those that its service has made."""
    own, is_over = call.key.collection, keys.is_over_collections(call.key)

    def rows_after(position: str, most: int) -> list[own_collections.ListedCollection]:
        return own_collections.listed(
            own, call.caller if is_over else None, after=position, most=most
        )

    rows, following = pages.page(call, rows_after, lambda row: row.name, usual=_USUAL_PAGE)
    return {
        "CollectionIds": [row.name for row in rows],
        "FaceModelVersions": [row.version for row in rows],
        **following,
    }


@operation(OVER_COLLECTIONS, _COLLECTION, is_about_collections=True)
def delete_collection(call: AwsCall) -> Answer:
    name = call.fields["CollectionId"]
    if name == call.key.collection:
        raise invalid(f"The collection {name} is the key's own, and stays.")
    if not keys.is_over_collections(call.key) or not own_collections.erase(
        caller=call.caller, name=name
    ):
        raise not_found(f"The collection id: {name} does not exist")
    return {"StatusCode": 200}


def arn(name: str) -> str:
    """There is neither a region nor an account here."""
    return f"arn:facesvc:rekognition:::collection/{name}"

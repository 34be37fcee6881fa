"""Collections: CreateCollection, DescribeCollection, ListCollections, DeleteCollection."""

from facesvc.aws import keys
from facesvc.aws.errors import AwsError, invalid, not_found
from facesvc.aws.operations import pages, shapes
from facesvc.aws.operations.calls import Answer, AwsCall, Shapes, operation
from management import naming
from recognition.packs import engine

_COLLECTION: Shapes = {"CollectionId": shapes.COLLECTION_ID}
_USUAL_PAGE = 1000
# The scope of a key that makes and deletes collections.
SCOPE = "face:collections"


@operation(SCOPE, _COLLECTION, is_about_collections=True)
def create_collection(call: AwsCall) -> Answer:
    name = call.fields["CollectionId"]
    if name == keys.DEFAULT:
        raise AwsError(
            "ResourceAlreadyExistsException", f"The collection id: {name} already exists"
        )
    message = f"This installation has one collection: {keys.DEFAULT}."
    raise AwsError("ServiceQuotaExceededException", message)


@operation("face:manage", _COLLECTION)
def describe_collection(call: AwsCall) -> Answer:
    faces, users = naming.counts()
    return {
        "FaceCount": faces,
        "UserCount": users,
        "FaceModelVersion": engine.current().pack.template_version,
        "CollectionARN": arn(call.fields["CollectionId"]),
    }


@operation(
    "face:manage",
    {},
    {"MaxResults": shapes.Whole(0, 4096), "NextToken": shapes.NEXT_TOKEN},
)
def list_collections(call: AwsCall) -> Answer:
    def rows_after(position: str, most: int) -> list[str]:
        return [name for name in (call.key.collection,) if name > position][:most]

    names, following = pages.page(call, rows_after, str, usual=_USUAL_PAGE)
    version = engine.current().pack.template_version
    return {
        "CollectionIds": names,
        "FaceModelVersions": [version] * len(names),
        **following,
    }


@operation(SCOPE, _COLLECTION, is_about_collections=True)
def delete_collection(call: AwsCall) -> Answer:
    name = call.fields["CollectionId"]
    if name == keys.DEFAULT:
        raise invalid(f"The collection {name} always exists.")
    raise not_found(f"The collection id: {name} does not exist")


def arn(name: str) -> str:
    """There is neither a region nor an account here."""
    return f"arn:facesvc:rekognition:::collection/{name}"

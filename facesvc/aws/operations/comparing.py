"""What needs no collection: CompareFaces, DetectFaces."""

from facesvc.aws.operations import shapes, shown
from facesvc.aws.operations.calls import Answer, AwsCall, operation
from facesvc.aws.operations.faces import least_quality
from recognition.packs import engine
from recognition.verification import pair_comparison

_USUAL_THRESHOLD = 80.0


@operation(
    "face:verify",
    {"SourceImage": shapes.PictureShape(), "TargetImage": shapes.PictureShape()},
    {"SimilarityThreshold": shapes.PERCENT, "QualityFilter": shapes.QUALITY_FILTER},
)
def compare_faces(call: AwsCall) -> Answer:
    """A face of the target that cannot be compared is among the unmatched ones."""
    by, source, target = pair_comparison.compare_with_each(
        call.fields["SourceImage"],
        call.fields["TargetImage"],
        least_quality=least_quality(call, "NONE"),
    )
    least = call.fields.get("SimilarityThreshold", _USUAL_THRESHOLD)
    matched, unmatched = [], []
    for face, cosine in zip(target.faces, target.cosines, strict=True):
        about = shown.compared_face(by, face, target.picture)
        similarity = None if cosine is None else shown.similarity(by, cosine)
        if similarity is None or similarity < least:
            unmatched.append(about)
        else:
            matched.append({"Similarity": similarity, "Face": about})
    return {
        "SourceImageFace": {
            "BoundingBox": shown.bounding_box(source.faces[0], source.picture),
            "Confidence": shown.confidence(source.faces[0]),
        },
        "FaceMatches": sorted(matched, key=lambda match: -match["Similarity"]),
        "UnmatchedFaces": unmatched,
    }


@operation("face:identify", {"Image": shapes.PictureShape()}, {"Attributes": shapes.ATTRIBUTES})
def detect_faces(call: AwsCall) -> Answer:
    with engine.at_work() as active:
        picture, found = active.see(call.fields["Image"], closer=lambda _: True)
        faces = active.describe(picture, found)
    asked = call.fields.get("Attributes", ())
    details = [shown.face_detail(active, face, picture, asked) for face in faces]
    return {"FaceDetails": details}

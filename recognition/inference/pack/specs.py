"""The dataclasses of pack.yaml about networks: their inputs, outputs and decoders."""

from dataclasses import dataclass
from typing import Literal

from recognition.inference.pack.files import WeightFile

Point = tuple[float, float]
# Landmarks in pixels of an aligned crop, in the order of the pack's landmark_names.
Template = tuple[Point, Point, Point, Point, Point]
# Left and right are the person's: in the picture of a face the left eye is on the right.
Landmark = Literal[
    "left_eye",
    "left_eye_outer",
    "left_eye_inner",
    "right_eye",
    "right_eye_outer",
    "right_eye_inner",
    "nose_tip",
    "nose_base",
    "mouth_left",
    "mouth_right",
]
Names = tuple[Landmark, Landmark, Landmark, Landmark, Landmark]
Triple = tuple[float, float, float]
Range = tuple[float, float]  # the values that count as 0 and as 1
Estimate = Literal["age", "gender"]


@dataclass(frozen=True)
class InputSpec:
    """The input of a network: squares of `size` pixels, (value - mean) / scale in each channel."""

    size: int
    rgb: bool  # else BGR
    mean: Triple  # of 0 to 255, in the network's order of channels
    scale: Triple
    layout: Literal["nchw", "nhwc"] = "nchw"
    batch: int = 1  # pictures in one run; 1 for networks exported for one picture


@dataclass(frozen=True)
class NetworkSpec:
    """A network in a file of its own."""

    weights: WeightFile
    input: InputSpec


class Outputs:
    """The base of dataclasses with names of a network's outputs."""

    def names(self) -> list[str]:
        """All of them, in the order of the fields."""
        lists = ([each] if isinstance(each, str) else each for each in vars(self).values())
        return [name for names in lists for name in names]


# --- Detectors ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MmodSpec:
    """dlib's max-margin CNN detector with its landmark cascade. Sizes in pixels."""

    decoder: Literal["mmod"]
    weights: WeightFile
    landmark_weights: WeightFile
    landmark_names: Names
    window: int
    min_face: float
    min_face_retry: float  # tried when no face is found at min_face
    max_side: float  # larger pictures are searched at this size
    pyramid_step: float
    score_threshold: float
    score_range: tuple[float, float]  # scores for which the quality component is 0 and 1
    nms_overlap: float
    sure_size: int  # pixels of the input: faces of this side and more are hardly missed
    closer_megapixels: float  # of inputs, that a closer look at a large picture may take
    rotate: bool  # also search the turned picture when no face is surely upright
    upright_score: float  # a face is surely upright from this score on

    @property
    def largest_side(self) -> int:
        """The largest side of an input of the network, in pixels."""
        return round(self.max_side)


@dataclass(frozen=True)
class AnchorSpec(NetworkSpec):
    """The common part of detectors with one output cell for each patch of the picture.

    The picture is fitted into a square of input.size, top left. With `small_size` it is also
    searched at that size, where faces that fill the picture are as small as the network knows them.
    """

    fixed_size: bool  # the network takes squares of input.size only, so small ones are padded
    small_size: int | None
    landmark_names: Names
    strides: tuple[int, ...]
    score_threshold: float
    score_range: tuple[float, float]  # scores for which the quality component is 0 and 1
    nms_iou: float
    enlarge: bool  # small pictures to input.size, where the landmarks are better for it
    sure_size: int  # pixels of the input: faces of this side and more are hardly missed
    close_size: int  # pixels of the input for one face and a little around it
    closer_megapixels: float  # of inputs, that a closer look at a large picture may take
    rotate: bool  # also search the turned picture when no face is surely upright
    upright_score: float  # a face is surely upright from this score on

    @property
    def largest_side(self) -> int:
        return self.input.size


@dataclass(frozen=True)
class ScrfdOutputs(Outputs):
    """Names of the network's outputs, one for each stride."""

    scores: tuple[str, ...]
    boxes: tuple[str, ...]
    landmarks: tuple[str, ...]


@dataclass(frozen=True)
class ScrfdSpec(AnchorSpec):
    """SCRFD (Guo et al., ICLR 2022) as exported by InsightFace."""

    decoder: Literal["scrfd"]
    anchors: int  # of each cell
    outputs: ScrfdOutputs


@dataclass(frozen=True)
class RetinaFaceOutputs(Outputs):
    """Names of the network's outputs; each holds all strides, one after the other."""

    scores: str
    boxes: str
    landmarks: str


@dataclass(frozen=True)
class RetinaFaceSpec(AnchorSpec):
    """RetinaFace (Deng et al., CVPR 2020) as exported by Pytorch_Retinaface."""

    decoder: Literal["retinaface"]
    anchor_sizes: tuple[tuple[int, ...], ...]  # sides in pixels, for each stride
    variances: tuple[float, float]  # of centres and of sizes
    outputs: RetinaFaceOutputs


@dataclass(frozen=True)
class YunetOutputs(Outputs):
    """Names of the network's outputs, one for each stride."""

    classes: tuple[str, ...]
    objects: tuple[str, ...]
    boxes: tuple[str, ...]
    landmarks: tuple[str, ...]


@dataclass(frozen=True)
class YunetSpec(AnchorSpec):
    """YuNet (Wu et al., Machine Intelligence Research 2023) with its raw heads."""

    decoder: Literal["yunet"]
    outputs: YunetOutputs


DetectorSpec = MmodSpec | ScrfdSpec | RetinaFaceSpec | YunetSpec


# --- Networks that see one face -------------------------------------------------------------------


@dataclass(frozen=True)
class RecogniserSpec(NetworkSpec):
    """The network from an aligned crop to an embedding."""

    template: Template
    mirror: bool  # add the embedding of the mirrored crop
    dimensions: int


@dataclass(frozen=True)
class QualitySpec(NetworkSpec):
    """The network from an aligned crop to a figure that rises with quality.

    `range` gives the figures that count as 0 and 1.
    """

    template: Template
    range: tuple[float, float]


@dataclass(frozen=True)
class AlignedAttributesSpec(NetworkSpec):
    """InsightFace's model of 2018: 2 logits of gender, then 100 x 2 of "older than n years"."""

    decoder: Literal["genderage_2018"]
    template: Template
    estimates: tuple[Estimate, ...]  # the estimates that are good enough to be shown
    optional: bool = False  # the pack serves without the file


@dataclass(frozen=True)
class BoxAttributesSpec(NetworkSpec):
    """A square around the box to gender and age.

    `genderage` is InsightFace's genderage.onnx: [female, male, age / 100]. `age_gender` is Open
    Model Zoo's age-gender-recognition: one output [female, male], another one age / 100.
    """

    decoder: Literal["genderage", "age_gender"]
    crop_scale: float  # the square's side in units of the box's longer side
    estimates: tuple[Estimate, ...]
    optional: bool = False  # the pack serves without the file


AttributesSpec = AlignedAttributesSpec | BoxAttributesSpec


@dataclass(frozen=True)
class LivenessNetwork:
    """A network whose crop is the box, enlarged `crop_scale` times around its centre."""

    weights: WeightFile
    crop_scale: float


@dataclass(frozen=True)
class LivenessSpec:
    """MiniFASNet: the mean of the networks' softmax; class `real_class` is a living face.

    `crop` says how the authors cut a face out for the training. `shifted`: the box in its
    proportions, shifted into the picture. `reflected`: the square around it, with the picture
    mirrored at its border.
    """

    networks: tuple[LivenessNetwork, ...]
    input: InputSpec
    real_class: int
    crop: Literal["shifted", "reflected"] = "shifted"
    threshold: float = 0.5  # the chance of a living face that is a score of 0.5


@dataclass(frozen=True)
class AngleOutputs(Outputs):
    yaw: str
    pitch: str
    roll: str


@dataclass(frozen=True)
class HeadPoseSpec(NetworkSpec):
    """Open Model Zoo's head-pose-estimation-adas: a square around the box to three angles."""

    crop_scale: float
    outputs: AngleOutputs


@dataclass(frozen=True)
class EyesSpec(NetworkSpec):
    """Open Model Zoo's open-closed-eye: a square around an eye to the chances of its states."""

    crop_scale: float  # the square's side in units of the distance between the eyes
    open_class: int


# --- Quality --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FlawSpec:
    """A line through the figures of a face (recognition/inference/flaws.py): how sure a flaw is."""

    name: Literal["level", "stillness", "detail", "mouth", "eyes"]
    line: str  # base64 of little-endian half-precision numbers, the constant last
    range: Range


@dataclass(frozen=True)
class QualityRanges:
    """From where on the pack recognises a face: measured by `manage.py calibrate --quality`.

    Without it, these figures are cautious ones for any recogniser.
    """

    data: str = ""
    measured_on: str = ""
    photos: int = 0
    size: Range = (10.0, 60.0)  # pixels between the eyes
    light: Range = (15.0, 75.0)  # mean grey value
    contrast: Range = (6.0, 40.0)  # standard deviation of the grey values
    mirror: Range | None = None  # cosine of a crop with its mirror image
    flaws: tuple[FlawSpec, ...] = ()


CAUTIOUS = QualityRanges()

"""Reasons to look twice at a verification, or to refuse it. docs/risk.md has the table of them.

Each rule is a small function over the attempt and what came before it. A rule has a weight, which
adds to the risk level. It may refuse the attempt, even if the face matches.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from recognition.verification.providers import ANTISPOOFING, CHECKS, DEEPFAKE, Outcome

# A match is near its threshold in the lowest quarter of the confidences above it. At `standard`, it
# would be no match if the threshold were at a tenth of the false match rate.
_NEAR = 0.25
# Failures in a row, and users tried from one device within an hour, that are no longer an accident.
_MANY_FAILURES, _MANY_USERS = 3, 5
# Sums of weights from which on the risk is medium and high.
MEDIUM, HIGH = 30, 70


@dataclass(frozen=True)
class Attempt:
    """One comparison: the confidence that was reached, the one that is needed, and the quality.

    An attempt is refused without an answer of the checks in `insists_on`.
    """

    confidence: float
    threshold: float
    quality_score: float
    min_quality: float
    level: str = "standard"
    in_session: bool = False
    is_provisional: bool = False  # nobody measured the threshold, and strict needs that
    is_single_use: bool = False
    has_device: bool = True
    checks: Mapping[str, Outcome] = field(default_factory=dict)
    insists_on: frozenset[str] = frozenset()

    def outcome(self, check: str) -> Outcome:
        return self.checks.get(check, Outcome("unconfigured"))

    def lacks(self, check: str) -> bool:
        """Whether an answer is missing that is counted on. Outside a session, a check that is not
        set up is not counted on.
        """
        state = self.outcome(check).state
        counts_on_it = self.in_session or check in self.insists_on
        return state == "missing" or (state == "unconfigured" and counts_on_it)


@dataclass(frozen=True)
class History:
    """What came before: failures in a row, the same picture, this device, other users."""

    failures: int = 0
    is_replayed: bool = False
    is_new_device: bool = False
    users_failed: int = 0  # from this device or client, within an hour
    is_unlike_face: bool = False


@dataclass(frozen=True)
class Rule:
    """`is_attack`: a refusal counts as a failed attempt, and not as a fault on our side."""

    name: str
    weight: int
    applies: Callable[[Attempt, History], bool]
    refuses: Callable[[Attempt], bool]
    is_attack: bool
    explain: Callable[[Attempt], str] | None = None  # of a refusal; otherwise the meaning

    @property
    def meaning(self) -> str:
        return " ".join((self.applies.__doc__ or "").split())


RULES: list[Rule] = []
Applies = Callable[[Attempt, History], bool]


def _above_basic(attempt: Attempt) -> bool:
    return attempt.level != "basic"


def _explain_missing(check: str, what_to_set: str) -> Callable[[Attempt], str]:
    def explain(attempt: Attempt) -> str:
        if attempt.outcome(check).state == "missing":
            return f"The {check} check gave no usable answer, and strict needs one; try again."
        return (
            f"No {check} check is set up, and strict needs one: "
            f"set {what_to_set}, or take {check} out of FACESVC_STRICT_CHECKS."
        )

    return explain


def _rule(
    weight: int,
    refuses: Callable[[Attempt], bool] = lambda attempt: False,
    *,
    is_attack: bool = True,
    explain: Callable[[Attempt], str] | None = None,
) -> Callable[[Applies], Applies]:
    def add(applies: Applies) -> Applies:
        RULES.append(Rule(applies.__name__, weight, applies, refuses, is_attack, explain))
        return applies

    return add


def _explain_provisional(attempt: Attempt) -> str:
    return (
        "The calibration of the model is provisional, and strict needs a measured one: run "
        "`manage.py calibrate`, or set FACESVC_STRICT_PROVISIONAL."
    )


@_rule(30, lambda a: a.level == "strict", is_attack=False, explain=_explain_provisional)
def threshold_provisional(attempt: Attempt, history: History) -> bool:
    """The threshold of `strict` is not measured with this model, and no setting allows it."""
    return attempt.level == "strict" and attempt.is_provisional


@_rule(30)
def repeated_failures(attempt: Attempt, history: History) -> bool:
    """Three or more attempts in a row failed before this one."""
    return history.failures >= _MANY_FAILURES


@_rule(80, _above_basic)
def liveness_failed(attempt: Attempt, history: History) -> bool:
    """The anti-spoofing check takes the face for a photo, a screen or a mask."""
    return attempt.outcome(ANTISPOOFING).state == "failed"


@_rule(
    15,
    lambda a: ANTISPOOFING in a.insists_on,
    is_attack=False,
    explain=_explain_missing(
        ANTISPOOFING, "ANTISPOOFING_SERVICE_URL, use a model pack that has anti-spoofing"
    ),
)
def liveness_missing(attempt: Attempt, history: History) -> bool:
    """The anti-spoofing check gave no usable answer; in a session also when none is set up."""
    return attempt.lacks(ANTISPOOFING)


@_rule(80, _above_basic)
def deepfake_suspected(attempt: Attempt, history: History) -> bool:
    """The deepfake check takes the picture for generated or altered."""
    return attempt.outcome(DEEPFAKE).state == "failed"


@_rule(
    10,
    lambda a: DEEPFAKE in a.insists_on,
    is_attack=False,
    explain=_explain_missing(DEEPFAKE, "DEEPFAKE_DETECTION_SERVICE_URL"),
)
def deepfake_missing(attempt: Attempt, history: History) -> bool:
    """The deepfake check gave no usable answer; in a session also when none is set up."""
    return attempt.lacks(DEEPFAKE)


def _explain_unanswered(attempt: Attempt) -> str:
    silent = [check for check in CHECKS if attempt.outcome(check).state == "missing"]
    return f"No usable answer came from: {', '.join(silent)}. A login needs one; try again."


@_rule(
    70,
    lambda a: a.is_single_use,
    is_attack=False,
    explain=_explain_unanswered,
)
def check_unanswered(attempt: Attempt, history: History) -> bool:
    """A check that is set up gave no usable answer, at standard or strict."""
    states = [attempt.outcome(check).state for check in CHECKS]
    return "missing" in states and _above_basic(attempt)


@_rule(35)
def score_near_threshold(attempt: Attempt, history: History) -> bool:
    """The face matches, but its confidence is in the lowest quarter between the threshold and 1."""
    above = attempt.confidence - attempt.threshold
    return 0 <= above < _NEAR * (1 - attempt.threshold)


@_rule(35)
def poor_quality(attempt: Attempt, history: History) -> bool:
    """The quality score is below the one that a registration needs."""
    return attempt.quality_score < attempt.min_quality


@_rule(30)
def new_device(attempt: Attempt, history: History) -> bool:
    """The user was verified before, but never from this device. It also applies when the user has a
    known device and the request names none."""
    return history.is_new_device


@_rule(40, lambda a: a.is_single_use)
def replayed_picture(attempt: Attempt, history: History) -> bool:
    """The picture is practically an enrolled picture of this user, or an earlier picture."""
    return history.is_replayed


# A refusal is no failure: it would bring more refusals, and lock the users of a shared device.
# Without a device, all users of a client would be refused for what a stranger did.
@_rule(
    60,
    lambda a: a.level == "strict" or (_above_basic(a) and a.has_device),
    is_attack=False,
)
def many_users_tried(attempt: Attempt, history: History) -> bool:
    """Within an hour, attempts for five or more users failed from this device. For a client: five
    or more users failed, and more failed than succeeded."""
    return history.users_failed >= _MANY_USERS


_UNLIKE = (
    "The face that matches was enrolled a short time ago and is unlike the user's others: "
    "it does not count at strict for FACESVC_NEW_FACE_HOURS."
)


@_rule(40, lambda a: a.level == "strict", is_attack=False, explain=lambda attempt: _UNLIKE)
def unlike_face(attempt: Attempt, history: History) -> bool:
    """The face that matches was enrolled within a day and resembles none of the user's others."""
    return history.is_unlike_face


@dataclass(frozen=True)
class Assessment:
    """The rules that apply to an attempt, and what follows from them."""

    factors: tuple[str, ...] = ()
    risk_level: str = "low"
    is_refused: bool = False
    is_attack: bool = False  # refused for what the caller did, not for what we lack
    explanation: str = ""  # of a refusal

    def without_match(self) -> Self:
        """The assessment for a caller who must not learn from it how similar the face is."""
        hidden = {score_near_threshold.__name__}
        if not self.is_refused:
            hidden.add(unlike_face.__name__)  # it refuses alone, see assess
        kept = tuple(name for name in self.factors if name not in hidden)
        return replace(self, factors=kept, risk_level=_level(kept))

    def as_json(self) -> dict[str, object]:
        shown: dict[str, object] = {"risk_level": self.risk_level, "factors": list(self.factors)}
        return shown | ({"explanation": self.explanation} if self.explanation else {})


NO_RISK = Assessment()


def assess(attempt: Attempt, history: History | None = None) -> Assessment:
    found = [rule for rule in RULES if rule.applies(attempt, history or History())]
    if any(rule.refuses(attempt) for rule in found if rule.name != unlike_face.__name__):
        # A refusal of any face must not show what only a match brings.
        found = [rule for rule in found if rule.name != unlike_face.__name__]
    refusing = [rule for rule in found if rule.refuses(attempt)]
    factors = tuple(rule.name for rule in found)
    assessment = Assessment(
        factors,
        _level(factors),
        is_refused=bool(refusing),
        is_attack=any(rule.is_attack for rule in refusing),
        explanation=" ".join(
            rule.explain(attempt) if rule.explain else rule.meaning for rule in refusing
        ),
    )
    return assessment.without_match() if refusing else assessment


def _level(factors: tuple[str, ...]) -> str:
    weight = sum(rule.weight for rule in RULES if rule.name in factors)
    return "high" if weight >= HIGH else "medium" if weight >= MEDIUM else "low"


def insisted_on(level: str, checks: list[str]) -> frozenset[str]:
    """The checks of the setting that an attempt at this level cannot do without."""
    return frozenset(CHECKS).intersection(checks) if level == "strict" else frozenset()

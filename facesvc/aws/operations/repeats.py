"""`ClientRequestToken`: clients of AWS repeat a request whose answer they did not get.

They send the same token again, which they make for each request. What was done gets its first
answer once more.
"""

from collections.abc import Callable
from functools import wraps

from facesvc.aws.operations.calls import Answer, AwsCall
from recognition.api import idempotency
from recognition.collections.hashes import keyed
from recognition.models.user_ids import UserId

_TOKEN = "ClientRequestToken"


def once(run: Callable[[AwsCall], Answer]) -> Callable[[AwsCall], Answer]:
    """For an operation on a user that does not do the same twice."""

    @wraps(run)
    def answered(call: AwsCall) -> Answer:
        if _TOKEN not in call.fields:
            return run(call)
        key, asked = f"aws {call.operation} {call.fields[_TOKEN]}", _fingerprint(call)
        first: Answer | None = idempotency.first_answer(call.caller, key, asked)
        if first is not None:
            return first
        answer = run(call)
        # An erasure of the user drops it.
        about = [UserId(call.fields["UserId"])]
        idempotency.keep_answer(call.caller, key, asked, answer, about)
        return answer

    return answered


def _fingerprint(call: AwsCall) -> str:
    fields = sorted((name, value) for name, value in call.fields.items() if name != _TOKEN)
    return keyed("facesvc.aws.repeats", repr(fields)).hexdigest()

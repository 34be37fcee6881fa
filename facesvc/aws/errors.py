"""Refusals in the shape of AWS: a name of an exception that its clients know, and a message."""

from recognition.errors import ServiceError
from recognition.inference.images import ImageError


class AwsError(Exception):
    """`name` is that of the exception which the client raises."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


# The exceptions for our codes. What is not here is an InvalidParameterException.
_NAMES = {
    "image_too_large": "ImageTooLargeException",
    "too_many_pixels": "ImageTooLargeException",
    "payload_too_large": "ImageTooLargeException",
    "empty_image": "InvalidImageFormatException",
    "invalid_image": "InvalidImageFormatException",
    "truncated_image": "InvalidImageFormatException",
    "unsupported_format": "InvalidImageFormatException",
    "invalid_base64": "SerializationException",
    "user_not_found": "ResourceNotFoundException",
    "user_merged": "ResourceNotFoundException",
    "collection_suspended": "AccessDeniedException",
    "insufficient_scope": "AccessDeniedException",
    "too_many_collections": "ServiceQuotaExceededException",
    "template_key_needed": "InternalServerError",
    "rate_limited": "ProvisionedThroughputExceededException",
    "requests_in_progress": "ProvisionedThroughputExceededException",
    "request_in_progress": "ConflictException",
    "idempotency_conflict": "IdempotentParameterMismatchException",
    "unavailable": "ThrottlingException",
    "internal_error": "InternalServerError",
    "encryption_not_set_up": "InternalServerError",
}

# A client gets the exception of a fault, which the SDKs repeat in vain.
_NOT_SET_UP = {"template_key_needed", "encryption_not_set_up"}
_WHO = "The operator of the service has to set that up; to try again does not help."


def translated(error: ServiceError | ImageError) -> AwsError:
    name = _NAMES.get(error.code, "InvalidParameterException")
    hint = f" {_WHO}" if error.code in _NOT_SET_UP else ""
    return AwsError(name, f"{error}{hint}")


def invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)


def not_found(message: str) -> AwsError:
    return AwsError("ResourceNotFoundException", message)

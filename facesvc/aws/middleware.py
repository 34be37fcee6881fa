"""Refusals from outside of the view in the shape of AWS: its clients read no other one."""

import json
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from facesvc.aws import protocol
from facesvc.aws.errors import AwsError, translated
from facesvc.http.middleware import AWS_PATHS
from recognition.errors import ServiceError

_ELSEWHERE = "Operations of Rekognition are answered at /aws/: add it to the client's endpoint_url."


class AwsErrorsMiddleware:
    """Such as those of a process that is full, and a failure of the service itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if response.status_code >= 400 and protocol.is_elsewhere(request):
            return protocol.refusal(AwsError("UnknownOperationException", _ELSEWHERE), 404)
        is_own = protocol.REQUEST_ID in response
        if request.path not in AWS_PATHS or is_own or not settings.FACESVC_AWS:
            return response
        if response.status_code < 400:
            return response
        try:
            error = json.loads(response.content)["error"]  # as facesvc.http.errors.failure makes it
        except ValueError:  # a page of Django's for developers
            return response
        return protocol.refusal(translated(ServiceError(error["code"], error["message"])))

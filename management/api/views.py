"""Users, their faces, and the models over HTTP: parse, call one function, answer."""

from uuid import UUID

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from management import erasure, operations
from management.api import answers
from management.serializers import FaceRequest, UserRequest
from recognition.api.pagination import ByUser, NewestFirst
from recognition.api.service_view import ServiceViewSet, operation
from recognition.models import Membership, User
from recognition.packs import catalogue


class UserViewSet(ServiceViewSet):
    required_scope = "face:manage"
    tag = "users and faces"
    lookup_field = lookup_value_converter = "user_id"

    @operation("list_users", "List all users", answers.UserList, pages=ByUser)
    def list(self, request: Request) -> Response:
        """All users, in the order of their ids; for services."""
        self.caller.require_service()
        return self.page("users", User.objects.all(), answers.User.each, ByUser("id"))

    @operation("get_user", "Show a user", answers.User)
    def retrieve(self, request: Request, user_id: UUID) -> Response:
        """One user: name, picture and privacy level, and the erasure of all their data."""
        return Response(answers.User.of(operations.user_of(self.caller, user_id)))

    @operation(
        "put_user",
        "Create or change a user",
        {200: answers.User, 201: answers.User},
        body=UserRequest,
    )
    def update(self, request: Request, user_id: UUID) -> Response:
        """Create the user, or change the given fields and keep the rest."""
        changes = self.fields(UserRequest)
        user, is_new = operations.put_user(caller=self.caller, user_id=user_id, changes=changes)
        return Response(answers.User.of(user), status=201 if is_new else 200)

    @operation("erase_user", "Erase all data about a user", answers.Erased)
    def destroy(self, request: Request, user_id: UUID) -> Response:
        """Erase all data about the user, and answer a receipt; a repeated request gets the same.

        The audit log keeps the id, who did what and when, and nothing else.
        """
        return Response(answers.Erased.of(erasure.erase_for(caller=self.caller, user_id=user_id)))

    @operation("list_faces", "List the faces of a user", answers.FaceList, pages=NewestFirst)
    @action(detail=True)
    def faces(self, request: Request, user_id: UUID) -> Response:
        """The faces of one user, newest first."""
        return self.page("faces", operations.faces_of(self.caller, user_id), answers.Face.each)

    @operation(
        "list_groups_of_user",
        "List the groups of a user",
        answers.GroupsJoined,
        pages=NewestFirst,
        tags=["friends and groups"],
    )
    @action(detail=True)
    def groups(self, request: Request, user_id: UUID) -> Response:
        """The groups of one user, the newest membership first."""
        user = operations.user_of(self.caller, user_id)
        memberships = Membership.objects.filter(user=user).select_related("group")
        return self.page("groups", memberships, answers.GroupJoined.each)


class FaceViewSet(ServiceViewSet):
    """One face: its settings, and its removal."""

    required_scope = "face:manage"
    tag = "users and faces"
    lookup_field = lookup_value_converter = "face_id"

    @operation("get_face", "Show a face", answers.Face)
    def retrieve(self, request: Request, face_id: str) -> Response:
        return Response(answers.Face.of(operations.face_of(face_id, self.caller)))

    @operation("put_face", "Change the settings of a face", answers.Face, body=FaceRequest)
    def update(self, request: Request, face_id: str) -> Response:
        """Change the given fields and keep the rest."""
        changes = self.fields(FaceRequest)
        face = operations.change_face(caller=self.caller, face_id=face_id, changes=changes)
        return Response(answers.Face.of(face))

    @operation(
        "patch_face", "Change the settings of a face, as PUT does", answers.Face, body=FaceRequest
    )
    def partial_update(self, request: Request, face_id: str) -> Response:
        """The same as PUT."""
        return self.update(request, face_id)

    @operation("delete_face", "Delete a face", answers.FaceDeleted)
    def destroy(self, request: Request, face_id: str) -> Response:
        operations.delete_face(caller=self.caller, face_id=face_id)
        return Response({"face_id": face_id, "deleted": True})


class ModelViewSet(ServiceViewSet):
    """The model packs: the active one, and the share of strangers who match at each score."""

    required_scope = "face:manage"
    tag = "models"

    @operation("list_models", "List the models, and what their scores mean", answers.ModelList)
    def list(self, request: Request) -> Response:
        return Response({"models": answers.Model.each(catalogue.entries())})

"""Users and faces over HTTP: parse, call one function, answer."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from management import erasure, operations
from management.api.answers import erased
from management.api.schemas import Erased, UserList
from management.serializers import FaceRequest, UserRequest
from recognition.api import answers, schemas
from recognition.api.pagination import ByUser, NewestFirst
from recognition.api.service_view import ServiceView
from recognition.packs import catalogue


class UsersView(ServiceView):
    """All users, in the order of their ids; for services."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="list_users",
        summary="List all users",
        parameters=ByUser.parameters,
        responses={200: UserList},
        tags=["users and faces"],
    )
    def get(self, request: Request) -> Response:
        pages = ByUser("id")
        page = pages.paginate_queryset(operations.all_users(self.caller), request, view=self)
        return Response({"users": [*map(answers.user, page or [])]} | pages.cursors())


class UserView(ServiceView):
    """One user: name, picture and privacy level, and the erasure of all their data."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="get_user",
        summary="Show a user",
        responses={200: schemas.User},
        tags=["users and faces"],
    )
    def get(self, request: Request, user_id: UUID) -> Response:
        return Response(answers.user(operations.user_of(self.caller, user_id)))

    @extend_schema(
        operation_id="put_user",
        summary="Create or change a user",
        request=UserRequest,
        responses={200: schemas.User, 201: schemas.User},
        tags=["users and faces"],
    )
    def put(self, request: Request, user_id: UUID) -> Response:
        """Create the user, or change the given fields and keep the rest."""
        changes = self.fields(UserRequest)
        user, is_new = operations.put_user(caller=self.caller, user_id=user_id, changes=changes)
        return Response(answers.user(user), status=201 if is_new else 200)

    @extend_schema(
        operation_id="erase_user",
        summary="Erase all data about a user",
        responses={200: Erased},
        tags=["users and faces"],
    )
    def delete(self, request: Request, user_id: UUID) -> Response:
        """Erase all data about the user, and answer a receipt; a repeated request gets the same.

        The audit log keeps the id, who did what and when, and nothing else.
        """
        receipt = erasure.erase_for(caller=self.caller, user_id=user_id)
        return Response(erased(receipt))


class UserFacesView(ServiceView):
    """The faces of one user, newest first."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="list_faces",
        summary="List the faces of a user",
        parameters=NewestFirst.parameters,
        responses={200: schemas.FaceList},
        tags=["users and faces"],
    )
    def get(self, request: Request, user_id: UUID) -> Response:
        pages = NewestFirst()
        faces = operations.faces_of(self.caller, user_id)
        faces = pages.paginate_queryset(faces, request, view=self)
        page = {"faces": answers.stored_faces(faces or [])}
        return Response(page | pages.cursors())


class ModelsView(ServiceView):
    """The model packs: the active one, and the share of strangers who match at each score."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="list_models",
        summary="List the models, and what their scores mean",
        responses={200: schemas.ModelList},
        tags=["models"],
    )
    def get(self, request: Request) -> Response:
        return Response(answers.models(catalogue.entries()))


class FaceView(ServiceView):
    """One face: its settings, and its removal."""

    required_scope = "face:manage"

    @extend_schema(
        operation_id="get_face",
        summary="Show a face",
        responses={200: schemas.Face},
        tags=["users and faces"],
    )
    def get(self, request: Request, face_id: str) -> Response:
        return Response(answers.stored_face(operations.face_of(self.caller, face_id)))

    @extend_schema(
        operation_id="put_face",
        summary="Change the settings of a face",
        request=FaceRequest,
        responses={200: schemas.Face},
        tags=["users and faces"],
    )
    def put(self, request: Request, face_id: str) -> Response:
        """Change the given fields and keep the rest."""
        changes = self.fields(FaceRequest)
        face = operations.change_face(caller=self.caller, face_id=face_id, changes=changes)
        return Response(answers.stored_face(face))

    @extend_schema(
        operation_id="patch_face",
        summary="Change the settings of a face, as PUT does",
        request=FaceRequest,
        responses={200: schemas.Face},
        tags=["users and faces"],
    )
    def patch(self, request: Request, face_id: str) -> Response:
        """The same as PUT."""
        return self.put(request, face_id)

    @extend_schema(
        operation_id="delete_face",
        summary="Delete a face",
        responses={200: schemas.Deleted},
        tags=["users and faces"],
    )
    def delete(self, request: Request, face_id: str) -> Response:
        operations.delete_face(caller=self.caller, face_id=face_id)
        return Response({"face_id": face_id, "deleted": True})

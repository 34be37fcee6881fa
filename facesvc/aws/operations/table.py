"""All operations of AWS that there are here."""

from facesvc.aws.operations import collections, comparing, faces, searching, users

OPERATIONS = {
    each.name: each
    for each in (
        collections.create_collection,
        collections.describe_collection,
        collections.list_collections,
        collections.delete_collection,
        faces.index_faces,
        faces.list_faces,
        faces.delete_faces,
        searching.search_faces,
        searching.search_faces_by_image,
        searching.search_users,
        searching.search_users_by_image,
        comparing.compare_faces,
        comparing.detect_faces,
        users.create_user,
        users.list_users,
        users.delete_user,
        users.associate_faces,
        users.disassociate_faces,
    )
}

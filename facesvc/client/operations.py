"""All calls as methods of both clients.

Made of the API description by `make docs`: to change it, change the API.
"""

from facesvc.client.binding import AllPages, Method
from facesvc.client.calls import (
    batches,
    collections,
    friends_and_groups,
    models,
    moderation,
    recognition,
    sessions,
    users_and_faces,
)


class Operations:
    """A method for each operation; `iter_...` for all pages."""

    register = Method(recognition.register)
    register_faces = Method(recognition.register_faces)
    verify = Method(recognition.verify)
    identify = Method(recognition.identify)
    detect = Method(recognition.detect)
    compare = Method(recognition.compare)
    open_session = Method(sessions.open_session)
    end_session = Method(sessions.end_session)
    get_session = Method(sessions.get_session)
    post_frame = Method(sessions.post_frame)
    list_users = Method(users_and_faces.list_users)
    iter_users = AllPages(users_and_faces.list_users)
    erase_user = Method(users_and_faces.erase_user)
    get_user = Method(users_and_faces.get_user)
    put_user = Method(users_and_faces.put_user)
    list_faces = Method(users_and_faces.list_faces)
    iter_faces = AllPages(users_and_faces.list_faces)
    list_groups_of_user = Method(friends_and_groups.list_groups_of_user)
    iter_groups_of_user = AllPages(friends_and_groups.list_groups_of_user)
    suspend_user = Method(moderation.suspend_user)
    unsuspend_user = Method(moderation.unsuspend_user)
    unlock_user = Method(moderation.unlock_user)
    merge_users = Method(moderation.merge_users)
    list_friends = Method(friends_and_groups.list_friends)
    iter_friends = AllPages(friends_and_groups.list_friends)
    delete_friend = Method(friends_and_groups.delete_friend)
    get_friend = Method(friends_and_groups.get_friend)
    put_friend = Method(friends_and_groups.put_friend)
    list_all_faces = Method(users_and_faces.list_all_faces)
    iter_all_faces = AllPages(users_and_faces.list_all_faces)
    delete_face = Method(users_and_faces.delete_face)
    get_face = Method(users_and_faces.get_face)
    patch_face = Method(users_and_faces.patch_face)
    put_face = Method(users_and_faces.put_face)
    get_crop = Method(users_and_faces.get_crop)
    identify_face = Method(recognition.identify_face)
    suspend_face = Method(moderation.suspend_face)
    unsuspend_face = Method(moderation.unsuspend_face)
    move_face = Method(moderation.move_face)
    list_groups = Method(friends_and_groups.list_groups)
    iter_groups = AllPages(friends_and_groups.list_groups)
    delete_group = Method(friends_and_groups.delete_group)
    get_group = Method(friends_and_groups.get_group)
    put_group = Method(friends_and_groups.put_group)
    list_members = Method(friends_and_groups.list_members)
    iter_members = AllPages(friends_and_groups.list_members)
    delete_member = Method(friends_and_groups.delete_member)
    get_member = Method(friends_and_groups.get_member)
    put_member = Method(friends_and_groups.put_member)
    import_graph = Method(friends_and_groups.import_graph)
    list_models = Method(models.list_models)
    list_duplicates = Method(moderation.list_duplicates)
    iter_duplicates = AllPages(moderation.list_duplicates)
    list_audit_events = Method(moderation.list_audit_events)
    iter_audit_events = AllPages(moderation.list_audit_events)
    list_collections = Method(collections.list_collections)
    iter_collections = AllPages(collections.list_collections)
    make_collection = Method(collections.make_collection)
    erase_collection = Method(collections.erase_collection)
    get_collection = Method(collections.get_collection)
    change_collection = Method(collections.change_collection)
    decide_duplicate = Method(moderation.decide_duplicate)
    batch_identify = Method(batches.batch_identify)
    batch_register = Method(batches.batch_register)
    list_batch_jobs = Method(batches.list_batch_jobs)
    iter_batch_jobs = AllPages(batches.list_batch_jobs)
    get_batch_job = Method(batches.get_batch_job)
    list_batch_results = Method(batches.list_batch_results)
    iter_batch_results = AllPages(batches.list_batch_results)
    list_unknown_people = Method(batches.list_unknown_people)
    iter_unknown_people = AllPages(batches.list_unknown_people)
    cancel_batch_job = Method(batches.cancel_batch_job)

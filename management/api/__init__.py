"""Users, faces, friends, groups and moderation over HTTP."""

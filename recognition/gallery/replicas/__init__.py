"""Searches on streaming replicas, where FACESVC_SEARCH_DATABASE_URL names some: decision 0016."""

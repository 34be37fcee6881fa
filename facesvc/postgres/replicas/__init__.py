"""The database engine of `DATABASES["search"]`: streaming replicas that searches run on."""

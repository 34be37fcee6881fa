"""The embedded PostgreSQL: how it is made, kept running and reached from Django.

As a package this is also the Django database engine `facesvc.postgres`.
"""

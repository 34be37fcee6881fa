"""The verb register: a face of a picture is stored with its template."""

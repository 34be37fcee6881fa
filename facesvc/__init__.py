"""The Django project: settings, URLs, and how the service is started."""

# The only place where the version stands: pyproject.toml and the settings read it here.
__version__ = "0.2.0"

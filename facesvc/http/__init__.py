"""What every request and every answer of the service has in common."""

"""How the service is started, and kept running."""

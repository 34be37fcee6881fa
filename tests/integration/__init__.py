"""The examples of docs/integration, each as a program of its own in front of the service."""

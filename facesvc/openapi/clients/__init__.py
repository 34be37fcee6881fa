"""What is made of the API description for apps: the Python client's calls, and types of both."""

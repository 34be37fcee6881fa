"""What a pack declares about its networks, and its files."""

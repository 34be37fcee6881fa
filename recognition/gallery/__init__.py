"""The templates that are searched, and the privacy rule that every search obeys."""

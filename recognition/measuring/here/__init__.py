"""A measurement on the people who are enrolled here."""

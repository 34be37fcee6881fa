"""Who is calling: what tokens say, and the keys of services."""

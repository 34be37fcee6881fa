"""The pages of the operators as a whole: the site, its first page, ready groups."""

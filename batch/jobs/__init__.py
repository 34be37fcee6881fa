"""Jobs and their items: submitted, worked on, ended."""

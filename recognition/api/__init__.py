"""Recognition over HTTP: what is taken, how it is answered, and what is asked for once only."""

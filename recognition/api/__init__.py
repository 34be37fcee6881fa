"""Recognition over HTTP: requests, answers, tokens, pages, and repeated requests."""

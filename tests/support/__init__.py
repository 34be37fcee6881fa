"""Who and what the tests are about, and the processes that they start."""

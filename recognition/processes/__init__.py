"""The care for a process: how much it computes at once, its connections, its timing."""

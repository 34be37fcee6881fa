"""What a process limits and measures: concurrent computing, connections, timing."""

"""What is kept about people: encrypted, exported, erased, and dropped when it is old."""

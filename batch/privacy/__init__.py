"""What batches keep of a person: erased, handed over and dropped."""

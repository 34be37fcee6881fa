"""What each operation of AWS takes, does and answers."""

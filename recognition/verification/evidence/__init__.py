"""What a picture says besides whose face it shows: alive, genuine, seen before."""

"""The verb identify: a picture against all people that the viewer may find (1:N)."""

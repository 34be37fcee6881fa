"""The verb identify: a picture against everybody whom the viewer may find (1:N)."""

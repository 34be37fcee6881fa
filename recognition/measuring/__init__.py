"""How good a pack is, measured on labelled photos. Nothing that serves needs it."""

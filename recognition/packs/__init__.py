"""Model packs: where their files come from, and the engine that loads the active one."""

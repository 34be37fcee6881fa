"""Model packs: where their files come from, and the engine that serves with one."""

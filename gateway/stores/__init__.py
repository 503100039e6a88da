"""Shell. Where state lives: one file = one store."""

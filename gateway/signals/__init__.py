"""Pure. One file = one signal of an account or campaign."""

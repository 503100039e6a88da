"""Pure. Rows that replay reads, and the one line a request that people read."""

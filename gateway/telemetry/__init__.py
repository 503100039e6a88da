"""Shell. What operators see: request lines, events, metrics, traces. Nothing here is read by a verdict."""

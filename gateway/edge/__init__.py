"""Shell. Everything that awaits on a socket: accept, relay, and the walk through the rungs between them."""

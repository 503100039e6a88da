"""Pure. Bytes and values: strict JSON, server-sent events, content codings, request targets, turns."""

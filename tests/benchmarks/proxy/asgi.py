"""Shell. The gateway as an ASGI app, for whichever server loads it; settings come from the environment."""

from gateway import Gate, Relay
from gateway.settings import load

SETTINGS = load()[0]
app = Gate(Relay(settings=SETTINGS), SETTINGS)

"""Shell. `gauger serve` on the event loop of the standard library; settings come from the environment."""

import asyncio

from gateway.serving import serve
from gateway.settings import load

if __name__ == "__main__":
    asyncio.run(serve(load()[0]))

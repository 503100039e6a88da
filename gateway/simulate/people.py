"""Pure. Who asks: accounts, their owners and ages, networks, clients and parameters as populations have them.

Parameters and clients follow a Zipf law over common ones, and a part of the owners has some of their own. Addresses are
of 198.18.0.0/15, which is reserved for measurements (RFC 2544) and belongs to nobody.
"""

from typing import Any

import msgspec

from gateway.simulate.matter import listed, mix
from gateway.simulate.schedule import Chance, zipf

__all__ = ["CLIENTS", "NETWORKS", "VECTORS", "Account", "address", "age_of", "client_of", "own_vector", "vector_of"]

CLIENTS = listed(
    "OpenAI/Python 1.59.4|OpenAI/Python 1.55.3|AsyncOpenAI/Python 1.58.1|OpenAI/JS 4.77.0|"
    "python-requests/2.32.3|axios/1.7.9|AsyncOpenAI/Python 1.59.7|node|python-httpx/0.27.2|"
    "OpenAI/JS 4.73.1|Go-http-client/2.0|okhttp/4.12.0|litellm/1.57.4|aiohttp/3.11.11|curl/8.5.0|undici|"
    "OpenAI/Python 1.51.0|Ruby|reqwest/0.12|PostmanRuntime/7.43.0"
)

VECTORS: tuple[dict[str, Any], ...] = (
    {},
    {"temperature": 0.7},
    {"temperature": 0},
    {"stream": True},
    {"temperature": 0.7, "stream": True},
    {"temperature": 0.2},
    {"temperature": 0.7, "max_tokens": 1000},
    {"temperature": 1},
    {"max_tokens": 1024},
    {"temperature": 0, "max_tokens": 256},
    {"temperature": 0.5},
    {"temperature": 0.3, "max_tokens": 500},
    {"temperature": 0.1},
    {"temperature": 0.7, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0},
    {"stream": True, "max_tokens": 2048},
    {"temperature": 0.8},
    {"temperature": 0.9, "top_p": 0.95},
    {"temperature": 0, "seed": 42},
    {"stream": False},
    {"temperature": 0.6, "max_tokens": 800},
    {"temperature": 0.4},
    {"temperature": 1, "top_p": 1, "n": 1, "stream": False},
    {"max_tokens": 512},
    {"temperature": 0.7, "max_tokens": 2000, "stream": True},
)
"""Common parameters, the commonest first."""

MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-4-turbo")
NETWORKS = 512  # of 256 addresses each
NEW = 0.12  # share of owners who came in the last month


class Account(msgspec.Struct, gc=False):
    """One account and the truth about it. Times in seconds from the traffic's begin."""

    name: str
    key: str
    label: str
    family: str
    owner: str
    client: str
    addresses: tuple[str, ...]
    created: float  # before the begin: negative
    org: str | None = None
    campaign: str | None = None
    requests: int = 0


def address(network: int, host: int) -> str:
    """An address of the reserved range; networks are /24."""
    network %= NETWORKS
    return f"198.{18 + network // 256}.{network % 256}.{1 + host % 254}"


def own_vector(number: int) -> dict[str, Any]:
    """Parameters that hardly anybody else has."""
    made: dict[str, Any] = {"temperature": round(0.01 + mix(number) % 149 / 100, 2)}
    if mix(number, 1) % 3:
        made["top_p"] = round(0.5 + mix(number, 2) % 50 / 100, 2)
    if mix(number, 3) % 3:
        made["max_tokens"] = 96 + mix(number, 4) % 500 * 8
    if not mix(number, 5) % 4:
        made["frequency_penalty"] = round(mix(number, 6) % 20 / 20, 2)
    return made


def vector_of(chance: Chance) -> dict[str, Any]:
    """An owner's parameters, the model among them: two in three take common ones."""
    number = chance.getrandbits(60)
    made = VECTORS[zipf(chance, len(VECTORS))] if chance.random() < 0.67 else own_vector(number)
    return {"model": MODELS[zipf(chance, len(MODELS))], **made}


def client_of(chance: Chance) -> str:
    return CLIENTS[zipf(chance, len(CLIENTS), 0.9)]


def age_of(chance: Chance) -> float:
    """Days since an owner came: most were there for months, some came lately."""
    if chance.random() < NEW:
        return chance.uniform(0.0, 30.0)
    return min(900.0, 30.0 + chance.lognormvariate(5.1, 0.9))

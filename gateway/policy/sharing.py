"""Pure. What of a policy's limits a store needs to know that several gateways share."""

from typing import Literal

import msgspec

from gateway.policy.model import Policy

__all__ = ["Sharing", "Stance", "sharing_of"]

Stance = Literal["local", "open", "closed"]
OWNED = frozenset({"key", "account", "org"})
"""Dimensions that lie within one owner: an organisation, or an account without one."""


class Sharing(msgspec.Struct, frozen=True):
    """Of all plans' limits, by id."""

    stances: dict[str, Stance] = {}  # what holds while the store is away
    crossing: frozenset[str] = frozenset()  # limits whose cells several owners draw from


def sharing_of(policy: Policy) -> Sharing:
    """The limits of a policy as a shared store sees them."""
    every = [limit for limits in policy.limits.values() for limit in limits]
    return Sharing(
        {limit.id: limit.on_store_error for limit in every},
        frozenset(limit.id for limit in every if OWNED.isdisjoint(limit.by)),
    )

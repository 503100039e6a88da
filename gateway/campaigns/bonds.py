"""Shell. The signals of campaigns that are there, found as the files of `campaigns/signals/`."""

from gateway.campaigns import signals
from gateway.campaigns.signals import Bond
from gateway.discover import classes

__all__ = ["BONDS"]

BONDS: dict[str, type[Bond]] = classes(signals, Bond)  # type: ignore[type-abstract]
"""File name -> the class of each signal."""

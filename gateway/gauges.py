"""Shell. The signals that are there, found as the files of `signals/`, and the row that holds them all."""

from gateway import signals
from gateway.discover import classes
from gateway.panel import Panel
from gateway.signals import Signal

__all__ = ["PANEL"]

PANEL = Panel({name: found() for name, found in classes(signals, Signal).items()})  # type: ignore[type-abstract]
"""Every signal of an account, in the order of the files' names."""

"""Pure. The map: nine rungs, from the socket to the record.

    1 accept    edge/admission.py   bounds on size, head, path and encoding, before any state exists
    2 identify  identity.py         headers and peer -> Caller; keyed hashes, never the key
    3 parse     protocols/          method, path and body -> Call, in one dialect of the wire
    4 observe   observe/            Call -> Observation: numbers, enums, keyed hashes. Prompt text ends here
    5 measure   signals/ quotas.py  what an account does; how much of a limit is left
    6 judge     decide.py policy/   judge(policy, state, facts, now) -> (state, Verdict)
    7 act       actions/            clamp the request, draw from its limits; tag, delay or refuse
    8 relay     edge/relay.py       the wrapped app answers; bytes pass unchanged; usage is metered
    9 settle    decide.py ledger/   actual usage returns to limits and state; one record is written

`edge/gate.py` reads like this table. If you see `async`, you are in the shell.

Ten words, and no synonyms for them:
    feature    of one request, no memory
    signal     of an account or campaign, has state
    reading    a signal's or a limit's number now
    evidence   a reading turned into decibans by the policy's scorecard
    score      the sum of the evidence
    campaign   requests of many accounts that follow one recipe
    verdict    what the policy says
    effect     what is done
    record     what is written
    pack       a policy file that others include
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Gate", "Relay", "__version__"]

if TYPE_CHECKING:
    from gateway.app import Gate, Relay


def __getattr__(name: str) -> Any:
    """`Gate` and `Relay` are loaded when asked for, so that the pure core imports without the shell."""
    if name in ("Gate", "Relay"):
        from gateway import app

        return getattr(app, name)
    raise AttributeError(f"module 'gateway' has no attribute {name!r}")

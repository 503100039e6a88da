"""Shell. The gateway of the demo, as `gauger serve` starts one, and the model behind it; all of its files in a folder.

The policy is the shipped pack, enforced. The accounts file has org and first day of each simulated account, as
`gauger simulate --accounts-out` writes it, and the hash of its key.
"""

import io
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import orjson
from pydantic_settings import PydanticBaseSettingsSource

from gateway.adopt import read_rules
from gateway.app import Gate, Relay, build_core
from gateway.demo.clock import Rush
from gateway.edge.exchange import ASGIApp, Message, Receive, Scope, Send
from gateway.edge.server import bounds_of, make_server
from gateway.errors import Mistake
from gateway.identity import key_digest
from gateway.pepper import load_pepper
from gateway.policy.model import Policy
from gateway.settings import Settings
from gateway.simulate.people import Account
from gateway.standin import StandIn
from gateway.stores.segments import segments
from gateway.telemetry import events

__all__ = ["LENGTH", "Hosted", "hosted", "ledger_of", "prepared"]

LENGTH = b"standin-tokens"
"""Name of the header that tells the model how long its answer is; a real model needs none."""
STREAM = 40  # tokens of a streamed answer at most: each of them is a write of its own on three sockets
MARK = "# Written by `make demo`; whatever stands in this folder is replaced by the next one.\n"
POLICY = f"""{MARK}gauger: 1
policy: {{id: demo, mode: enforce}}
identity: {{directory: accounts.yaml}}
use: [packs/extraction-enforce.yaml]
"""


class _Given(Settings):
    """Settings of the demo's own: no environment and no file changes what is shown."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: Any, init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


class Hosted(msgspec.Struct, frozen=True):
    """A gateway that listens. `settings` also bound the clients that ask it."""

    url: str
    policy: Policy
    settings: Settings
    tape: "Tape"


class Tape(io.RawIOBase):
    """The gateway's standard output: its request lines, in the order that they came, until somebody takes them."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: deque[bytes] = deque()
        self._rest = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def records(self) -> Iterator[dict[str, Any]]:
        """The lines that came since the last call."""
        while self._parts:
            *whole, self._rest = (self._rest + self._parts.popleft()).split(b"\n")
            yield from map(orjson.loads, whole)


def ledger_of(folder: Path) -> Path:
    return folder / "ledger"


def prepared(folder: Path) -> None:
    """An empty folder, where there is none or the last demo's. Raises Mistake for anybody else's."""
    policy, ledger = folder / "policy.yaml", ledger_of(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (policy.is_file() and policy.read_text().startswith(MARK)):
            hint = "name one that is empty, or isn't there, with --folder"
            raise Mistake("this folder holds something else than a demo's files", place=str(folder), hint=hint)
        policy.write_text(POLICY)
        if ledger.is_dir():
            for segment in segments(ledger):
                segment.path.unlink()
    except OSError as error:
        hint = "name a folder that can be written, with --folder"
        raise Mistake(f"can't be made ready: {error.strerror}", place=str(folder), hint=hint) from None


@asynccontextmanager
async def hosted(folder: Path, accounts: list[Account], begin: int, rush: Rush) -> AsyncIterator[Hosted]:
    """A gateway on a free port of this machine while the block lasts; at its end all lines and rows are written.

    `folder` is one that was prepared, `begin` are the Unix seconds from which the accounts' ages count.
    """
    settings = _Given(
        policy=folder / "policy.yaml",
        state_dir=folder,
        ledger=ledger_of(folder),
        trusted_proxies=("127.0.0.1",),  # the crowd's addresses are believed, as those of a proxy in front of it
        service_instance="demo",
        drain_timeout=1.0,
    )
    pepper = load_pepper(settings)
    (folder / "accounts.yaml").write_bytes(b"".join(_listed(accounts, begin, pepper.current)))
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "events.jsonl").open("w", encoding="utf-8"))
        events.configure("warning", "json", log)
        stack.callback(events.configure)
        tape = Tape()
        core = build_core(settings, stream=cast(BinaryIO, tape), rules=read_rules(settings), clock=rush.clock())
        stack.push_async_callback(core.aclose)
        model = make_server(Told(StandIn()), lifespan=False)
        await stack.enter_async_context(model.listening())
        relay = Relay(model.url, settings)
        stack.push_async_callback(relay.aclose)
        data = make_server(Gate(relay, core=core), bounds=bounds_of(settings), lifespan=False)
        data.drain_timeout = settings.drain_timeout
        await stack.enter_async_context(data.listening())
        yield Hosted(data.url, core.policy, settings, tape)


def _listed(accounts: list[Account], begin: int, pepper: bytes) -> Iterator[bytes]:
    yield f"{MARK}accounts:\n".encode()
    for account in accounts:
        day = datetime.fromtimestamp(begin + account.created, UTC).date().isoformat()
        org = f", org: {account.org}" if account.org else ""
        key = key_digest(pepper, account.key)
        yield f'  - {{id: {account.name}{org}, created: {day}, keys: ["{key}"]}}\n'.encode()


class Told:
    """The stand-in, which answers as long as the simulation says that a model would."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = next((value for name, value in scope.get("headers", ()) if name == LENGTH), b"")
        if not length.isdigit() or scope["path"] != "/v1/chat/completions":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        asked = orjson.loads(bytes(body))
        tokens = min(int(length), STREAM) if asked.get("stream") else int(length)
        asked["model"] = f"{asked['model']}-standin-tokens-{max(1, tokens)}"
        given: Message | None = {"type": "http.request", "body": orjson.dumps(asked), "more_body": False}

        async def again() -> Message:
            nonlocal given
            found, given = given, None
            return found if found is not None else await receive()

        await self._app(scope, again, send)

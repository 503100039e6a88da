"""Shell. The demo from begin to end: its parts are started, watched, drawn and ended, whatever happens."""

import asyncio
import gc
import io
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import msgspec

from gateway.cli.explain import command as explain
from gateway.demo.clock import Rush
from gateway.demo.crowd import Crowd
from gateway.demo.frame import LEAST, Scene, picture
from gateway.demo.host import Hosted, hosted, ledger_of, prepared
from gateway.demo.plan import HYDRA, Plan, group_of, scenario_of
from gateway.demo.screen import Screen, coloured, drawable
from gateway.demo.tally import Tally
from gateway.demo.words import missed, progress, summary
from gateway.edge.transports import make_upstream
from gateway.errors import Mistake
from gateway.simulate.chance import dice_of
from gateway.simulate.traffic import Dice
from gateway.simulate.world import World

__all__ = ["play"]

FRAME = 0.12  # s between two pictures
LINE = 3.0  # s between two lines where nothing can be drawn
ENDING = 6.0  # s before the limit at which traffic is cut off, to end in order
TELLING = 2.0  # s before the limit from which nothing is explained any more
DAY = 86_400
STOPPED = 130  # as a shell says of Ctrl-C


async def play(plan: Plan, folder: Path, out: TextIO) -> int:
    """Plays the plan, draws on `out`, and says how it ended: 0 as it should, 1 otherwise, 130 stopped.

    `folder` gets the gateway's files. Raises Mistake where it can't be used, and where nobody reads `out` any more.
    """
    limit = time.monotonic() + plan.limit
    dice: Dice = dice_of(plan.seed)
    world = World(scenario_of(plan), dice)
    prepared(folder)
    begin = int(time.time() - plan.hours * 3600) // DAY * DAY
    rush = Rush(begin * 10**9, plan.rate)
    stop = asyncio.Event()
    _on_signals(stop)
    async with hosted(folder, world.accounts, begin, rush) as host:
        tally = Tally({account.name: group_of(account) for account in world.accounts}, host.policy)
        day = datetime.fromtimestamp(begin, UTC).date().isoformat()
        scene = Scene(plan, tally, day, url=host.url)
        gc.collect()
        gc.freeze()  # as `gauger serve` does
        scene = await _watched(scene, world, rush, host, out, stop, limit - ENDING)
    tally.take(host.tape.records())
    if stop.is_set():
        _say(out, "stopped")
        return STOPPED
    late = time.monotonic() > limit - TELLING
    told = "" if late or not tally.example else _explained(tally.example, ledger_of(folder))
    columns = min(100, shutil.get_terminal_size().columns - 1) if drawable(out) else 100
    width = max(LEAST[0], columns)
    _say(out, summary(scene, told, _commands(scene, folder), width, colour=coloured(out)).rstrip("\n"))
    return 1 if missed(scene) else 0


async def _watched(
    scene: Scene, world: World, rush: Rush, host: Hosted, out: TextIO, stop: asyncio.Event, until: float
) -> Scene:
    """Has the crowd ask, and shows what comes of it, until it has ended, is stopped, or its time is over."""
    plan, tally = scene.plan, scene.tally
    async with AsyncExitStack() as stack:
        client = make_upstream(host.url, host.settings)
        stack.push_async_callback(client.aclose)
        crowd = Crowd(world, plan, rush, client)
        show = stack.enter_context(_Shown(out))
        rush.go()
        asking = asyncio.create_task(crowd.run())
        stopping = asyncio.create_task(stop.wait())
        try:
            while not asking.done() and not stopping.done() and time.monotonic() < until:
                await asyncio.wait({asking, stopping}, timeout=FRAME, return_when=asyncio.FIRST_COMPLETED)
                tally.take(host.tape.records())
                passed = min(rush.passed, plan.hours * 3600)
                scene = msgspec.structs.replace(scene, passed=passed, left_out=crowd.left_out)
                show(scene)
        finally:
            for task in (asking, stopping):
                task.cancel()
            ended = await asyncio.gather(asking, stopping, return_exceptions=True)
        if isinstance(ended[0], Exception):
            raise ended[0]
    return scene


class _Shown:
    """Pictures on a terminal, lines elsewhere."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._stack = ExitStack()
        self._screen: Screen | None = None
        self._next = 0.0

    def __enter__(self) -> Callable[[Scene], None]:
        if drawable(self._out):
            self._screen = self._stack.enter_context(Screen(self._out))
        return self._show

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _show(self, scene: Scene) -> None:
        if self._screen is not None:
            colour = coloured(self._out)
            self._screen.draw(lambda width, height: picture(scene, width, height, colour=colour))
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE
            _say(self._out, progress(scene))


def _on_signals(stop: asyncio.Event) -> None:
    """The first one ends it in order, the second at once."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end)


def _explained(request: str, ledger: Path) -> str:
    """What `gauger explain` says of a request; why it says nothing, where it doesn't."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            explain.main(["record", request, "--ledger", str(ledger)], standalone_mode=False)
    except Mistake as mistake:
        return f"request {request}: {mistake}"
    return said.getvalue()


def _commands(scene: Scene, folder: Path) -> list[str]:
    """How to look further, as it can be typed here."""
    here = Path(sys.executable).with_name("gauger")
    gauger = os.path.relpath(here) if here.is_file() and here.is_relative_to(Path.cwd()) else "gauger"
    tally, ledger = scene.tally, shlex.quote(str(ledger_of(folder)))
    made = [f"{gauger} explain record {tally.example} --ledger {ledger}"] * bool(tally.example)
    head = next(iter(sorted(tally.groups[HYDRA].acted)), "")
    made += [f"{gauger} explain account {head} --ledger {ledger}"] * bool(head)
    found = tally.hydra
    made += [f"{gauger} explain campaign {found.id} --ledger {ledger}"] if found is not None else []
    return [*made, f"{gauger} verify {ledger}", f"{gauger} replay {ledger}"]


def _say(out: TextIO, text: str) -> None:
    try:
        out.write(f"{text}\n")
        out.flush()
    except BrokenPipeError:  # what is still in the buffer must not be missed at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        raise Mistake("nobody reads on") from None

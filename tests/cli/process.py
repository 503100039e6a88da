"""`gauger serve` as a process of its own: what it says, what it writes, how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
DEADLINE = 20.0


class Served:
    """One process. Its standard error is read as it comes."""

    def __init__(self, folder: Path, arguments: list[str], environment: dict[str, str]) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GAUGER_")}
        given = {"GAUGER_STATE_DIR": str(folder), "GAUGER_RELOAD_INTERVAL": "0", **environment}
        self.out = (folder / "stdout").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--port", "0", "--ops-port", "0", *arguments],
            cwd=ROOT,
            env=clean | given,
            stdout=self.out,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._heard = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._heard:
                self.said.append(line.rstrip("\n"))
                self._heard.notify_all()
        with self._heard:
            self._ended = True
            self._heard.notify_all()

    def hear(self, pattern: str) -> re.Match[str]:
        """Waits for a line of standard error that matches. Raises AssertionError with all of it where none comes."""

        def found() -> re.Match[str] | None:
            return next((match for line in self.said if (match := re.search(pattern, line))), None)

        with self._heard:
            self._heard.wait_for(lambda: found() is not None or self._ended, DEADLINE)
            match = found()
        assert match is not None, f"no {pattern!r} in:\n" + "\n".join(self.said)
        return match

    @property
    def url(self) -> str:
        return self.hear(r"^  gateway   (http\S+)")[1]

    @property
    def ops(self) -> str:
        return self.hear(r"^  operator  (http\S+)")[1]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def records(self) -> list[dict[str, Any]]:
        """What stands on standard output; whole once the process has ended."""
        self.out.seek(0)
        return [json.loads(line) for line in self.out.read().splitlines()]


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    """A process that is stopped at the end, whatever happened."""
    served = Served(folder, list(arguments), environment)
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.process.kill()
        served.process.wait(DEADLINE)
        served._reader.join(DEADLINE)
        assert served.process.stderr is not None
        served.process.stderr.close()
        served.out.close()

"""A realtime session through `gauger serve` as a process of its own: it talks, the process stops, it is recorded."""

import json
import signal
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.cli.process import serving


def test_a_session_is_closed_and_recorded_when_the_process_stops(tmp_path: Path) -> None:
    with serving(
        tmp_path, "--ledger", str(tmp_path / "led"), GAUGER_DRAIN_TIMEOUT="0.3", GAUGER_LOG_LEVEL="debug"
    ) as served:
        address = served.url.replace("http", "ws", 1) + "/v1/realtime?model=gpt-realtime"
        key = {"authorization": "Bearer sk-CANARYkey"}
        with connect(address, additional_headers=key, proxy=None) as ws:
            assert json.loads(ws.recv(10))["type"] == "session.created"
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "CANARYword"}]}
            ws.send(json.dumps({"type": "conversation.item.create", "item": item}))
            ws.send(json.dumps({"type": "response.create"}))
            while json.loads(ws.recv(10))["type"] != "response.done":
                pass
            served.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as found:
                ws.recv(10)
            assert found.value.rcvd is not None
            assert (found.value.rcvd.code, found.value.rcvd.reason) == (1001, "the gateway is shutting down")
        assert served.wait() == 0
        (record,) = served.records()
        session = record["session"]
        assert (session["close"], session["by"], session["messages_in"], session["answers"]) == (1001, "gateway", 2, 1)
        assert record["usage"]["output"] > 0
        printed = "\n".join(served.said) + json.dumps(record)
        kept = b"".join(path.read_bytes() for path in (tmp_path / "led").iterdir())
        assert "CANARY" not in printed
        assert b"CANARY" not in kept

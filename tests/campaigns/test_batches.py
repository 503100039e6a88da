"""Batches: a file's lines are an account's requests, once its batch was made; an upload alone is none."""

from typing import Any

import orjson

from gateway.accounts import load_accounts
from gateway.campaigns.tables import Campaigns
from gateway.cli.raw import PUBLIC_PEPPER, Player
from gateway.ledger.steps import Steps
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.memory import MemoryLimits
from tests.rig import OPEN_POLICY, policy_of

FRAME = "You are the archive of a lighthouse. Answer as its keeper would, in full sentences, without asking back."
OLD, HEADS, LINES = 30, 8, 40


class Log:
    """Raw traffic, a line at a time."""

    def __init__(self) -> None:
        text = "".join(f"  - {{id: old-{at}, created: 2020-01-01}}\n" for at in range(OLD))
        text += "".join(f"  - {{id: head-{at}, created: 2027-01-15}}\n" for at in range(HEADS))
        steps = Steps(MemoryLimits(), MemoryAccounts(1000))
        self.tables = Campaigns(steps.row_of)
        self.now = 1_800_000_000.0
        self.player = Player(
            policy_of(OPEN_POLICY), load_accounts(f"accounts:\n{text}", "a.yaml"), PUBLIC_PEPPER, steps,
            campaigns=self.tables,
        )  # fmt: skip

    def send(self, account: str, path: str, body: dict[str, Any], **more: Any) -> None:
        self.now += 1.0
        line = {"t": self.now, "account": account, "path": path, "body": body, "latency_ms": 10, **more}
        self.player.play(orjson.dumps(line), "log")

    def chat(self, account: str, system: str, said: str, temperature: float = 0.7, **more: Any) -> None:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": said}]
        body = {"model": "m", "temperature": temperature, "messages": messages}
        self.send(account, "/v1/chat/completions", body, **more)

    def upload(self, account: str, **more: Any) -> None:
        """A file of questions in the frame; its id is `file-` and the account."""
        lines = [
            {
                "custom_id": str(at),
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {
                    "model": "m",
                    "temperature": 0.83,
                    "messages": [
                        {"role": "system", "content": FRAME},
                        {"role": "user", "content": f"What happened in the night {account} {at}?"},
                    ],
                },
            }
            for at in range(LINES)
        ]
        text = "".join(orjson.dumps(line).decode() + "\n" for line in lines)
        file = {"text": text, "filename": "b.jsonl", "content_type": "application/jsonl"}
        self.send(
            account, "/v1/files", {"purpose": "batch", "file": file}, response_id=f"file-{account}", status=200, **more
        )

    def batch(self, account: str, status: int = 200) -> None:
        body = {"input_file_id": f"file-{account}", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        self.send(account, "/v1/batches", body, status=status)

    def crowd(self) -> None:
        for at in range(OLD):
            for each in range(3):
                self.chat(
                    f"old-{at}", f"You are the desk of the shop number {at}.", f"How much is article {at} {each}?"
                )

    def done(self) -> None:
        self.player.finish()
        self.tables.settle()


def test_batches_of_one_recipe_are_a_campaign() -> None:
    log = Log()
    log.crowd()
    for at in range(HEADS):
        log.upload(f"head-{at}")
        log.batch(f"head-{at}")
    log.done()
    (found,) = log.tables.live
    assert log.tables.members(found.id) == [f"head-{at}" for at in range(HEADS)]
    records = {each.account: each for each in log.tables.records()}
    assert records["head-0"].requests == LINES
    assert found.readings["exclusive_share"] == 1.0


def test_an_upload_alone_is_no_request() -> None:
    log = Log()
    log.crowd()
    for at in range(HEADS):
        log.upload(f"head-{at}")
    log.done()
    assert log.tables.live == []
    assert {each.account for each in log.tables.records()} == {f"old-{at}" for at in range(OLD)}


def test_a_batch_that_the_model_server_refuses_leaves_nothing() -> None:
    log = Log()
    log.crowd()
    for at in range(HEADS):
        log.upload(f"head-{at}")
        log.batch(f"head-{at}", 400)
    log.done()
    assert log.tables.live == []
    assert len(log.tables) == OLD


def test_answers_that_failed_leave_nothing() -> None:
    log = Log()
    for at in range(5):
        log.chat("head-0", FRAME, f"What happened in the night {at}?", status=(401, 403, 429, 500, 503)[at])
    log.done()
    assert len(log.tables) == 0


def test_batches_and_chats_of_one_recipe_are_one() -> None:
    log = Log()
    log.crowd()
    for at in range(HEADS):
        if at % 2:
            log.upload(f"head-{at}")
            log.batch(f"head-{at}")
        else:
            for each in range(4):
                log.chat(f"head-{at}", FRAME, f"Who came in the year {at} {each}?", 0.83)
    log.done()
    assert [each.members for each in log.tables.live] == [HEADS]

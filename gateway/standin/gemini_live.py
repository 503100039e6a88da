"""Shell. Gemini Live: a session that answers each turn in text, in binary frames, as Google's server does."""

from typing import Any

from gateway.standin.answers import Manner, Wanted, compose, count, groups, seed_of, tag
from gateway.standin.exchange import Ask, Fail, behave, objects, text_of, tokens_of
from gateway.standin.sessions import Conversation, Left, Talk

__all__ = ["serve"]


async def serve(ask: Ask, talk: Talk) -> None:
    """One session. What is wrong in it ends it: 1007, as Google's server does."""
    said = Conversation()
    try:
        setup = (await talk.read()).get("setup")
        if not isinstance(setup, dict):
            raise Fail(400, "setup must be the first message.")
        manner = behave(str(setup.get("model") or "").removeprefix("models/"))
        system = _field(setup, "systemInstruction")
        said.tokens = tokens_of(system.get("parts")) if isinstance(system, dict) else 0
        await talk.say({"setupComplete": {"sessionId": tag(ask.seed, "session")}})
        while True:
            await _step(ask, talk, manner, said, await talk.read())
    except Left:
        return
    except Fail as fail:
        await talk.close(1007 if fail.status < 500 and fail.status != 429 else 1011, fail.message)


async def _step(ask: Ask, talk: Talk, manner: Manner, said: Conversation, message: dict[str, Any]) -> None:
    if isinstance(content := _field(message, "clientContent"), dict):
        for turn in objects(content.get("turns")):
            said.last = text_of(turn.get("parts"))
            said.tokens += tokens_of(turn.get("parts"))
        if _field(content, "turnComplete"):
            await _answer(ask, talk, manner, said)
    elif isinstance(given := _field(message, "realtimeInput"), dict):
        if isinstance(text := given.get("text"), str):
            said.last = text
            said.tokens += count(text)
            await _answer(ask, talk, manner, said)
        else:
            said.tokens += 1
            if _field(given, "activityEnd") is not None or _field(given, "audioStreamEnd"):
                await _answer(ask, talk, manner, said)
    elif _field(message, "toolResponse") is not None:
        await _answer(ask, talk, manner, said)
    else:
        raise Fail(400, "Request contains an invalid argument.")


def _field(value: dict[str, Any], name: str) -> Any:
    """A field in protobuf's JSON, which is camelCase and may be snake_case."""
    if name in value:
        return value[name]
    return value.get("".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name))


async def _answer(ask: Ask, talk: Talk, manner: Manner, said: Conversation) -> None:
    said.answers += 1
    answer = compose(seed_of(ask.seed, said.last.encode(), b"%d" % said.answers), Wanted(last=said.last), manner)
    for group in groups(answer.pieces):
        turn = {"parts": [{"text": "".join(group)}], "role": "model"}
        await talk.say({"serverContent": {"modelTurn": turn}}, manner)
    await talk.say({"serverContent": {"generationComplete": True}}, manner)
    written = len(answer.pieces)
    over: dict[str, Any] = {"serverContent": {"turnComplete": True}}
    if manner.usage:
        details = [{"modality": "TEXT", "tokenCount": said.tokens}]
        over["usageMetadata"] = {
            "promptTokenCount": said.tokens,
            "responseTokenCount": written,
            "totalTokenCount": said.tokens + written,
            "promptTokensDetails": details,
        }
    said.tokens += written
    await talk.say(over, manner)

"""Shell. OpenAI Realtime: a session that answers in text, or in sound of the same length with its transcript."""

from base64 import b64encode
from typing import Any

from gateway.standin.answers import Manner, Wanted, compose, count, groups, manner_of, seed_of, tag
from gateway.standin.exchange import Ask, Fail, behave, objects, text_of
from gateway.standin.sessions import Conversation, Left, Talk

__all__ = ["opened", "serve"]

SOUND = bytes(4800)  # of silence, in each event: a tenth of a second of 16 bit at 24 kHz
AUDIO_TOKENS = 2  # of each of them


def opened(ask: Ask) -> Manner:
    """How the model that the query names behaves. Fails as `behave` does; a session may go without a model."""
    name = ask.query.get("model") or ask.query.get("deployment")
    return behave(name) if name else manner_of("")


async def serve(ask: Ask, talk: Talk) -> None:
    """One session, from its first event to its end."""
    session: dict[str, Any] = {
        "type": "realtime",
        "object": "realtime.session",
        "id": f"sess_{tag(ask.seed, 'session')}",
        "model": ask.query.get("model") or ask.query.get("deployment") or "gpt-realtime",
        "output_modalities": ["text"],
        "instructions": "",
    }
    said = Conversation()
    await talk.say(_event(ask, talk, "session.created", session=session))
    while True:
        try:
            await _step(ask, talk, session, said, await talk.read())
        except Left:
            return
        except Fail as fail:
            error = {"type": "invalid_request_error", "code": fail.code, "message": fail.message, "param": fail.param}
            await talk.say(_event(ask, talk, "error", error={**error, "event_id": None}))


async def _step(ask: Ask, talk: Talk, session: dict[str, Any], said: Conversation, event: dict[str, Any]) -> None:
    kind = event.get("type")
    if kind == "session.update":
        given = event.get("session")
        session.update(given if isinstance(given, dict) else {})
        await talk.say(_event(ask, talk, "session.updated", session=session))
    elif kind == "conversation.item.create":
        item = event.get("item")
        item = dict(item) if isinstance(item, dict) else {}
        item.setdefault("id", f"item_{tag(ask.seed, f'item{talk.sent}', 16)}")
        said.last = text_of(objects(item.get("content")))
        said.tokens += count(said.last)
        for name in ("conversation.item.added", "conversation.item.done"):
            await talk.say(_event(ask, talk, name, item=item, previous_item_id=None))
    elif kind == "input_audio_buffer.append":
        audio = event.get("audio")
        said.tokens += len(audio) // 3200 if isinstance(audio, str) else 0
    elif kind == "input_audio_buffer.commit":
        name = f"item_{tag(ask.seed, f'item{talk.sent}', 16)}"
        await talk.say(_event(ask, talk, "input_audio_buffer.committed", item_id=name, previous_item_id=None))
    elif kind == "response.create":
        await _respond(ask, talk, session, said, event.get("response"))
    elif kind in ("input_audio_buffer.clear", "response.cancel"):
        name = "input_audio_buffer.cleared"
        if kind == "response.cancel":
            raise Fail(400, "Cancellation failed: no active response found.", "response_cancel_not_active")
        await talk.say(_event(ask, talk, name))
    else:
        raise Fail(400, "Invalid value: that is no type of an event.", "invalid_value", "type")


async def _respond(ask: Ask, talk: Talk, session: dict[str, Any], said: Conversation, given: Any) -> None:
    asked = given if isinstance(given, dict) else {}
    manner = manner_of(str(session["model"]))
    limit = asked.get("max_output_tokens", session.get("max_output_tokens"))
    wanted = Wanted(last=said.last, limit=limit if isinstance(limit, int) else None)
    said.answers += 1
    answer = compose(seed_of(ask.seed, said.last.encode(), b"%d" % said.answers), wanted, manner)
    modalities = asked.get("output_modalities") or session.get("output_modalities") or ["text"]
    sound = "audio" in modalities
    name, item = (f"{what}_{tag(ask.seed, f'{what}{said.answers}', 16)}" for what in ("resp", "item"))
    status = "incomplete" if answer.finish == "length" else "completed"
    response: dict[str, Any] = {
        "object": "realtime.response",
        "id": name,
        "status": "in_progress",
        "output": [],
        "output_modalities": modalities,
    }
    place = {"response_id": name, "item_id": item, "output_index": 0, "content_index": 0}
    await talk.say(_event(ask, talk, "response.created", response=response), manner)
    shell = {"id": item, "object": "realtime.item", "type": "message", "role": "assistant", "status": "in_progress"}
    at = {"response_id": name, "output_index": 0}
    await talk.say(_event(ask, talk, "response.output_item.added", item={**shell, "content": []}, **at), manner)
    words = "response.output_audio_transcript" if sound else "response.output_text"
    for group in groups(answer.pieces):
        await talk.say(_event(ask, talk, f"{words}.delta", delta="".join(group), **place), manner)
        if sound:
            delta = b64encode(SOUND).decode()
            await talk.say(_event(ask, talk, "response.output_audio.delta", delta=delta, **place), manner)
    whole = {"transcript" if sound else "text": answer.text}
    await talk.say(_event(ask, talk, f"{words}.done", **whole, **place), manner)
    part = {"type": "output_audio" if sound else "output_text", **whole}
    done = {**shell, "status": status, "content": [part]}
    await talk.say(_event(ask, talk, "response.output_item.done", item=done, **at), manner)
    written = len(answer.pieces) + (AUDIO_TOKENS * len(groups(answer.pieces)) if sound else 0)
    read = said.tokens + count(str(session.get("instructions") or ""))
    response |= {"status": status, "output": [done]}
    if manner.usage:
        response["usage"] = {
            "total_tokens": read + written,
            "input_tokens": read,
            "output_tokens": written,
            "input_token_details": {"text_tokens": read, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": len(answer.pieces), "audio_tokens": written - len(answer.pieces)},
        }
    said.tokens += written
    await talk.say(_event(ask, talk, "response.done", response=response), manner)


def _event(ask: Ask, talk: Talk, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "event_id": f"event_{tag(ask.seed, f'event{talk.sent}', 20)}", **fields}

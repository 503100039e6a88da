"""Shell. The stand-in: a model server that speaks all dialects and answers from a hash, for tests and demonstrations.

`StandIn(record=0)` is the ASGI app, `serving(host, port, record)` runs it on a socket of the running event loop,
`python -m gateway.standin --port N` runs it alone. It reads no clock and rolls no dice: the same request has the same
answer, byte for byte, ids and dates included. It keeps at most 100 files and 64 MiB of them, and so of the batches of
either vendor; a body has at most 64 MiB and 100 levels, and all the answers to one request a million tokens.

What it speaks: OpenAI's chat completions, completions, responses, embeddings, models, files and batches; Anthropic's
messages, token counts, batches and models; Gemini's generateContent, streamGenerateContent, embedContent,
batchEmbedContents, countTokens and models; over a WebSocket OpenAI's Realtime and Gemini's Live. An answer is some 40
tokens of text; JSON that fits the schema where one is asked for; a call of the first tool where `tools` are given and
the last message says "tool" or the choice is forced.

How a model misbehaves is said by its name, after `standin-`; words may be combined (`standin-slow-20-tokens-500`):

    standin-slow      50 ms before each event of a stream, and before an answer in one piece
    standin-slow-N    N ms instead, at most 60,000
    standin-tokens-N  exactly N output tokens, at most 100,000
    standin-nousage   the answer tells no usage
    standin-die       the connection breaks after five events, or after half of an answer in one piece
    standin-429       429 with `retry-after: 1`
    standin-500       500
    missing-...       404, as any name that starts so

A key that starts with `bad-` is refused: 401, or what Gemini says then, 400 with API_KEY_INVALID.
"""

from gateway.standin.app import Died, Seen, StandIn
from gateway.standin.server import Running, serving

__all__ = ["Died", "Running", "Seen", "StandIn", "serving"]

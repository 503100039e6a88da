"""Pure. Model names to model families: a fixed table, because the names that callers send are unbounded."""

from functools import lru_cache

__all__ = ["FAMILIES", "family_of"]

FAMILIES = (
    "gpt-3.5",
    "gpt-4",
    "gpt-4-turbo",
    "gpt-4.1",
    "gpt-4.5",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-5",
    "gpt-oss",
    "o1",
    "o3",
    "o4",
    "text-embedding",
    "claude-2",
    "claude-3",
    "claude-haiku",
    "claude-opus",
    "claude-sonnet",
    "gemini-1.5",
    "gemini-2.0",
    "gemini-2.5",
    "gemini-3",
    "gemma",
    "llama",
    "mistral",
    "mixtral",
    "qwen",
    "deepseek",
    "kimi",
)  # 29, and "other"
NICKNAMES = {"chatgpt-4o": "gpt-4o", "meta-llama": "llama", "text-embedding-ada": "text-embedding"}
OLD_CLAUDE = ("claude-3-5-", "claude-3-7-", "claude-3-")
STARTS = sorted({**{name: name for name in FAMILIES}, **NICKNAMES}.items(), key=lambda pair: -len(pair[0]))
BREAKS = frozenset("-._:/@0123456789")


@lru_cache(maxsize=512)
def family_of(model: str | None) -> str:
    """The family that a model's name begins with, whatever vendor or `ft:` stands before it; else `other`.

    `claude-3-5-sonnet-…` and `claude-sonnet-4-…` are both `claude-sonnet`.
    """
    if not model:
        return "other"
    name = model.lower().removeprefix("models/").removeprefix("ft:").rpartition("/")[2]
    for old in OLD_CLAUDE:
        if name.startswith(old):
            tier = "claude-" + name.removeprefix(old).partition("-")[0]
            return tier if tier in FAMILIES else "claude-3"
    for start, family in STARTS:
        rest = name.removeprefix(start)
        if rest != name and (not rest or rest[0] in BREAKS):
            return family
    return "other"

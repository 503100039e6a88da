"""Pure. The words that `phrases` looks for, as data: lists of text and nothing else.

`PHRASES`: mark -> what says it alone. `WORDS`: class of words -> its words; what classes say together is told in
`phrases`. Entries are in the normal form of `text`, line ends as blanks. An entry begins and ends where a word does
and one more s (plural, third person) is let through; a last `*` leaves its end open. What stands here follows from what
a recipe has to ask for, and from prompts that were published with their papers; it was not fitted to any traffic.
"""

from gateway.observe.lexicon import eastern, english, northern, romance, words
from gateway.observe.lexicon.lines import Lexicon

__all__ = ["LANGUAGES"]

LANGUAGES: tuple[tuple[str, Lexicon, Lexicon], ...] = (
    ("en", english.PHRASES, words.WORDS),
    *(
        (name, phrases, classes)
        for group in (romance, northern, eastern)
        for name, (phrases, classes) in group.LANGUAGES.items()
    ),
)
"""(language, its phrases, its words)."""

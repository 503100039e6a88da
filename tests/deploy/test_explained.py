"""The examples of the operations page are what the program prints.

`python -m tests.deploy.test_explained` renews them.
"""

from pathlib import Path

from gateway.ledger.explain import explain
from gateway.ledger.explain_text import to_text
from tests.ledger.campaigned import campaign, ended, judged
from tests.ledger.campaigned import policy as joint
from tests.ledger.explained import settled
from tests.ledger.swept import policy, swept

PAGE = Path(__file__).parents[2] / "deploy" / "README.md"


def whole() -> str:
    """The explanation of a fixed record."""
    by = policy()
    row = swept(by)
    return f"$ gauger explain {row.request} --ledger /var/lib/gauger/ledger\n{to_text(explain(row, settled(row), by))}"


def of_campaign() -> str:
    """What the explanation of a member's record says of its campaign and of the score."""
    by = joint()
    row = judged(by, campaign(), old=True)
    text = to_text(explain(row, ended(row), by))
    begin, end = text.index(f"Campaign {campaign().id}"), text.index("\n\nRules that nearly held")
    return f"{text[begin:end]}\n"


EXAMPLES = {"explained": whole, "explained-campaign": of_campaign}


def written(text: str) -> str:
    """The page with each example between its marks."""
    for name, shown in EXAMPLES.items():
        before, begun, rest = text.partition(f"<!-- {name}: begin -->\n")
        _, ended_, after = rest.partition(f"<!-- {name}: end -->")
        assert begun and ended_, f"the page has lost its marks of {name}"
        text = f"{before}{begun}```\n{shown()}```\n{ended_}{after}"
    return text


def test_the_examples_of_the_page_are_what_the_program_prints() -> None:
    assert PAGE.read_text() == written(PAGE.read_text()), "run: python -m tests.deploy.test_explained"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))

"""The example on the operations page is what the program prints. `python -m tests.deploy.test_explained` renews it."""

from pathlib import Path

from gateway.ledger.explain import explain
from gateway.ledger.explain_text import to_text
from tests.ledger.explained import settled
from tests.ledger.swept import policy, swept

PAGE = Path(__file__).parents[2] / "deploy" / "README.md"
BEGIN, END = "<!-- explained: begin -->\n", "<!-- explained: end -->"


def written(text: str) -> str:
    """The page with the explanation of a fixed record between its marks."""
    by = policy()
    row = swept(by)
    shown = f"$ gauger explain {row.request} --ledger /var/lib/gauger/ledger\n{to_text(explain(row, settled(row), by))}"
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    assert begun and ended, "the page has lost its marks"
    return f"{before}{begun}```\n{shown}```\n{ended}{after}"


def test_the_example_of_the_page_is_what_the_program_prints() -> None:
    assert PAGE.read_text() == written(PAGE.read_text()), "run: python -m tests.deploy.test_explained"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))

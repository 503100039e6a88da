"""The terminal's codes: only what changed is written, and what was taken is given back."""

import io

import pytest

from gateway.demo.screen import ENTER, LEAVE, Screen, coloured, drawable
from tests.demo.terminal import BEGIN, END


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def since(self) -> str:
        """What was written since the last call."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("LINES", "5")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_only_lines_that_changed_are_written(terminal: Terminal) -> None:
    with Screen(terminal) as screen:
        assert terminal.since() == ENTER
        screen.draw(lambda width, height: ["one", "two", "three"])
        assert terminal.since().count("\x1b[K") == 3
        screen.draw(lambda width, height: ["one", "2", "three"])
        assert terminal.since() == f"{BEGIN}\x1b[2;1H2\x1b[K{END}"
        screen.draw(lambda width, height: ["one", "2", "three"])
        assert terminal.since() == ""
        screen.draw(lambda width, height: ["one"])
        assert terminal.since() == f"{BEGIN}\x1b[2;1H\x1b[K\x1b[3;1H\x1b[K{END}"
    assert terminal.since() == LEAVE


def test_the_last_column_stays_empty_and_no_line_is_below_the_last(terminal: Terminal) -> None:
    with Screen(terminal) as screen:
        screen.draw(lambda width, height: [f"{width} {height}"] * 9)
    assert terminal.getvalue().count("29 5") == 5


def test_another_size_is_drawn_anew(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with Screen(terminal) as screen:
        screen.draw(lambda width, height: ["one"])
        terminal.since()
        monkeypatch.setenv("COLUMNS", "50")
        screen.draw(lambda width, height: ["one"])
        assert terminal.since() == f"{BEGIN}\x1b[2J\x1b[1;1Hone\x1b[K{END}"


def test_it_is_given_back_after_an_error_too(terminal: Terminal) -> None:
    with pytest.raises(ZeroDivisionError), Screen(terminal) as screen:
        screen.draw(lambda width, height: [str(1 // 0)])
    assert terminal.getvalue().endswith(LEAVE)


def test_a_terminal_that_went_away_hides_no_error(terminal: Terminal) -> None:
    with pytest.raises(ZeroDivisionError), Screen(terminal):
        terminal.close()
        raise ZeroDivisionError


@pytest.mark.parametrize(("term", "no_color", "draws", "colours"), [
    ("xterm", "", True, True),
    ("xterm", "1", True, False),
    ("dumb", "", False, False),
    ("", "", False, False),
])  # fmt: skip
def test_where_pictures_and_colours_are_possible(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, term: str, no_color: str, *, draws: bool, colours: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", no_color)
    assert (drawable(terminal), coloured(terminal)) == (draws, colours)


def test_a_file_and_a_closed_stream_are_no_terminals(terminal: Terminal) -> None:
    assert not drawable(io.StringIO())
    terminal.close()
    broken = io.StringIO()
    broken.close()
    assert not drawable(broken)

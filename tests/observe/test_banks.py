"""Banks of questions: items are known in frames and among examples, other text isn't. The file is what it says."""

import gzip
import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.banks import BANKS, FILE, LEAST, SIDE, WIDTH, Bank, bank_of, key, read
from gateway.observe.text import normal, pieces
from tests.observe.build_banks import COMMON, FIELDS, build, hashes, rows, stock, texts

PROMPTS = Path(__file__).parents[3] / "shared" / "data" / "prompts"
COPIES = os.environ.get("BANKS_FOLDER")  # of tests/observe/build_banks.py

TRAIN = [
    "Mira sells 12 jars of honey on each market day of the spring. She keeps bees in 7 hives behind an old house. "
    "How many jars has she sold after all of the 15 market days?",
    "A ferry crosses the wide river 9 times on every day of summer. Each crossing carries 31 passengers and 4 cars. "
    "How many passengers does the ferry carry in one working week?",
]
TEST = [
    "The baker Tomas bakes 40 loaves of rye bread before the sun rises. He gives every tenth loaf to the shelter. "
    "How many loaves of bread are left for the customers of Tomas?"
]
OWN = {"exam": TEST, "drill": TRAIN}
TABLE = {one: bank for bank, found in hashes(OWN).items() for one in found}


def named(text: str) -> str:
    return bank_of(pieces(normal(text)), TABLE)


def shipped(text: str) -> str:
    return bank_of(pieces(normal(text)))


@pytest.mark.parametrize(
    "frame",
    [
        "{}",
        "Solve this: {} Let's think step by step.",
        "Question: {}\nAnswer:",
        '"""\n{}\n"""\n\nReason carefully, step by step, and show all of your work before the final answer.',
        "1. {}",
        "You are a tutor of mathematics for children. Explain all with patience, and never give away the answer.\n"
        "Use short sentences, and praise what the child has done well so far.\n\n### Problem\n{}\n\n### Solution\n",
    ],
)
def test_an_item_is_known_in_a_frame(frame: str) -> None:
    for bank, items in OWN.items():
        for item in items:
            assert named(frame.format(item)) == bank


def test_a_single_sentence_is_known_behind_a_label_and_in_other_marks() -> None:
    sentence = TRAIN[1].split(". ")[0]
    assert named(sentence) == named(f"Task: {sentence}!") == named(f"**Q12: ({sentence})**") == "drill"


def test_other_figures_of_as_many_digits_make_no_difference_and_of_more_digits_do() -> None:
    sentence = TRAIN[1].split(". ")[0]
    assert named(sentence.replace("9", "5")) == "drill"
    assert named(sentence.replace("9", "500")) == ""


def test_the_question_decides_and_not_the_examples_before_it() -> None:
    examples = "\n\n".join(f"Question: {item}\nAnswer: as many as it takes." for item in TRAIN)
    assert named(examples) == "drill"
    assert named(f"{examples}\n\nQuestion: {TEST[0]}\nAnswer:") == "exam"


def test_only_the_ends_of_a_long_text_are_looked_up() -> None:
    filler = [f"this is line {chr(97 + at)} of a text that has nothing to do with it" for at in range(2 * SIDE)]
    sentence = TRAIN[0].split(". ")[0]
    assert named("\n".join([sentence, *filler])) == named("\n".join([*filler, sentence])) == "drill"
    assert named("\n".join([*filler[:SIDE], sentence, *filler[SIDE:]])) == ""


def test_a_piece_is_looked_up_from_forty_bytes_on_without_label_and_marks() -> None:
    assert key(b"a" * (LEAST - 1)) == key(b"a" * (LEAST - 1) + b"?") == b""
    assert key(b"a" * LEAST) == key(b"(" + b"a" * LEAST + b").") == key(b"q: " + b"a" * LEAST) != b""
    assert key(b"a" * LEAST + b": a") != key(b"a" * LEAST)  # what is left behind this colon is too short


def test_the_file_was_made_by_this_normal_form() -> None:
    """Whoever changes the normal form or the hash makes the file anew."""
    text = "Question: How many of the 24 grey geese, flying SOUTH, will land by the lake?"
    assert [key(piece).hex() for piece in pieces(normal(text))] == ["431985818d"]


def test_what_several_banks_hold_is_the_first_ones_and_what_many_items_hold_is_nobodys() -> None:
    shared = "how many of the green apples are left in the wooden basket"
    phrase = "give your answer as a fraction in its lowest terms please"
    first = [f"{shared}?\n{phrase}.", f"{phrase}."]
    second = [f"{shared}?\n{phrase}.", f"{phrase}.", "an item that is the second bank's alone, of nobody else"]
    found = hashes({"first": first, "second": second})
    assert len(first) + len(second) - 1 == COMMON + 1
    assert found["first"] == [key(shared.encode())]
    assert found["second"] == [key(b"an item that is the second bank's alone, of nobody else")]


def test_code_and_formulas_are_not_stored() -> None:
    assert stock(b'form.addeventlistener("submit", (e) => { e.prevent(); })')
    assert stock(b"find $x$ such that $\\log_x 00=\\log_0 00$ and $x^0+0x+0=0$")
    assert not stock(b"what is the last integer in her sequence")


def test_the_copies_of_banks_are_read_where_their_text_is(tmp_path: Path) -> None:
    row = {"turns": [{"content": "a"}, {"content": "b"}], "question": "c"}
    assert list(texts(row, ["turns", "content"])) == ["a", "b"]
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode() + b"\n"))
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n\n")
    (tmp_path / "x.json").write_text(json.dumps({"note": "n", "examples": [row]}))
    assert [rows(path) for path in sorted(tmp_path.iterdir())] == [[row]] * 3
    (tmp_path / "x.csv").write_text('question,other\n"c, d",e\n')
    assert rows(tmp_path / "x.csv") == [{"question": "c, d", "other": "e"}]


def test_the_file_has_what_the_banks_say() -> None:
    assert [bank.id for bank in BANKS] == list(FIELDS)
    data = FILE.read_bytes()
    start = 0
    for bank in BANKS:
        part = [data[at : at + WIDTH] for at in range(start, start + bank.hashes * WIDTH, WIDTH)]
        assert part == sorted(set(part)), bank.id  # sorted where it begins and ends, so the cuts are right
        assert bank.source and bank.licence and bank.items
        start += bank.hashes * WIDTH
    assert start == len(data) < 2**20
    assert len(read(data, BANKS)) == start // WIDTH  # no hash is in two banks


def test_another_files_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"banks\.bin has 10 bytes, and its banks 5"):
        read(b"0123456789", [Bank("x", "test", 1, 1, "", "")])


def test_memory_and_chance_are_bounded() -> None:
    data = FILE.read_bytes()
    tracemalloc.start()
    found = read(data, BANKS)
    used, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used <= most < 16 * 2**20
    assert 2 * SIDE * len(found) / 2 ** (8 * WIDTH) < 4e-7  # a request of sentences that are in no bank


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Thank you!",
        "Hello, my parcel hasn't arrived yet. The order number is 48213, and it was due on Monday. Can you help me?",
        "You are a helpful assistant. Answer in the language of the user, and keep it short.",
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
        "Let's work this out in a step by step way to be sure we have the right answer.",
        "import numpy as np\nfrom collections.abc import Iterator, Mapping\n\nfor key, value in data.items():\n",
        "Summarise the report below for the board in five bullet points, each of at most twenty words.",
        "Express your answer as a common fraction.",
        "Natürlich können Sie die Ware innerhalb von vierzehn Tagen ohne Angabe von Gründen zurückgeben.",
    ],
)
def test_ordinary_text_is_of_no_bank(text: str) -> None:
    assert shipped(text) == ""


@given(st.text(max_size=600), st.lists(st.binary(max_size=90), max_size=12))
def test_any_text_and_any_bytes_have_an_answer(text: str, found: list[bytes]) -> None:
    ids = {bank.id for bank in BANKS} | {""}
    assert shipped(text) in ids
    assert bank_of(found) in ids


@pytest.mark.skipif(not PROMPTS.is_dir(), reason="needs ../shared/data/prompts")
@pytest.mark.parametrize(
    ("bank", "name", "least"),
    [
        ("gsm8k-train", "gsm8k_train", 0.98),
        ("gsm8k-test", "gsm8k_test", 0.98),
        ("arena-hard", "arena", 0.95),
        ("self-instruct-user", "user_instr", 0.95),
        ("self-instruct-seed", "seed_tasks", 0.70),
    ],
)
def test_real_items_are_known(bank: str, name: str, least: float) -> None:
    items = [json.loads(line) for line in gzip.decompress((PROMPTS / f"{name}.jsonl.gz").read_bytes()).splitlines()]
    for frame in ("{}", "Here is one for you.\n\n{}\n\nLet's think step by step."):
        found = [shipped(frame.format(item)) for item in items[:300]]
        assert found.count(bank) >= least * len(found)
        assert sum(one not in ("", bank) for one in found) <= 0.01 * len(found)


@pytest.mark.skipif(not PROMPTS.is_dir(), reason="needs ../shared/data/prompts")
@pytest.mark.parametrize("name", ["banking77", "clinc150", "restaurant8k", "codegen", "roleplay", "passages"])
def test_real_text_of_other_people_is_of_no_bank(name: str) -> None:
    items = [json.loads(line) for line in gzip.decompress((PROMPTS / f"{name}.jsonl.gz").read_bytes()).splitlines()]
    assert sum(shipped(item) != "" for item in items[:2000]) <= 0.005 * len(items[:2000])


@pytest.mark.skipif(COPIES is None, reason="needs BANKS_FOLDER=DIR: see tests/observe/build_banks.py")
def test_the_file_is_what_the_script_makes() -> None:
    assert COPIES is not None
    data, counts = build(Path(COPIES))
    assert counts == {bank.id: (bank.items, bank.hashes) for bank in BANKS}
    assert data == FILE.read_bytes()

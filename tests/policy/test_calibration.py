"""Calibration files: what is read again, and what is refused."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from gateway.calibrate.fitting import Options, calibrated
from gateway.documents import Finding
from gateway.policy.calibration import Broken, percent, read, write
from gateway.policy.check import check
from gateway.policy.loader import PolicyErrors, load
from tests.calibrate.scored import CARD, month, owners

MADE = calibrated(owners(month([-20.0] * 400)), Options(version="1.2")).calibration
FILE = write(MADE)
NAMED = CARD.replace("promise: PROMISE", "promise: {throttle: 1% of owners/month}\n    calibration: c.json")


def resolver(content: bytes) -> Callable[[str], bytes]:
    def resolve(name: str) -> bytes:
        if name not in ("c.json", "packs/c.json"):
            raise FileNotFoundError(2, "No such file or directory", name)
        return content

    return resolve


def changed(**fields: Any) -> bytes:
    """The file with some of its content changed, and a digest that fits: anybody can work one out."""
    data = json.loads(FILE)
    for path, value in fields.items():
        node = data
        *way, last = path.split("__")
        for step in way:
            node = node[int(step) if step.isdigit() else step]
        node[last] = value
    del data["digest"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return json.dumps(data | {"digest": sha256(text.encode()).hexdigest()}).encode()


def findings(content: bytes, text: str = NAMED) -> list[Finding]:
    return check(text, "made.yaml", resolver(content))


def test_a_file_is_read_as_it_was_written() -> None:
    assert read(FILE) == MADE
    assert read(FILE.decode()) == MADE
    assert read(changed(version="2")).version == "2"
    card = MADE.card("theft")
    assert card is not None and card.promises[0].supported
    assert MADE.card("other") is None


def test_how_it_is_spaced_does_not_matter() -> None:
    assert read(json.dumps(json.loads(FILE))) == MADE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"exceedances": 0', b'"exceedances": 1'),
        (b'"threshold_db": -19.99', b'"threshold_db": -25.0'),
        (b'"supported": true', b'"supported": false'),
        (b'"date": "20', b'"date": "21'),
    ],
)
def test_a_changed_file_is_refused(old: bytes, new: bytes) -> None:
    assert old in FILE
    with pytest.raises(Broken, match="changed after it was made"):
        read(FILE.replace(old, new, 1))


@pytest.mark.parametrize(
    "fields",
    [
        {"cards__0__promises__0__owners": 200},
        {"cards__0__promises__0__alpha": 0.001},
        {"cards__0__promises__0__exceedances": 1},
        {"cards__0__promises__0__allowed": None},
        {"cards__0__promises__0__threshold_db": None},
        {"cards__0__level__allowed": 3},
        {"covered_days": 29},
        {"window_days": 7.0},
        {"experiment": True},
    ],
)
def test_a_file_that_claims_more_than_it_counts_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Broken, match="claims more than it counts: theft"):
        read(changed(**fields))


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", b'{"a": 1}', b"[" * 9999, changed(surprise=1), changed(schema="gauger.calibration/2")],
)
def test_what_is_no_calibration_is_refused(content: bytes) -> None:
    with pytest.raises(Broken, match="no calibration"):
        read(content)
    with pytest.raises(Broken, match="larger than 1 MiB"):
        read(content + b" " * 1_048_577)


def test_a_policy_holds_its_calibration_and_its_file() -> None:
    made = load(NAMED, "made.yaml", resolver(FILE))
    assert made.calibrations == {"theft": MADE}
    assert made.files["c.json"] == FILE.decode()
    again = load(made.files["made.yaml"], "made.yaml", lambda name: made.files[name].encode())
    assert (again.digest, again.calibrations) == (made.digest, made.calibrations)


def test_another_calibration_is_another_policy_and_another_name_is_not() -> None:
    made = load(NAMED, "made.yaml", resolver(FILE))
    other = load(NAMED, "made.yaml", resolver(changed(version="2")))
    moved = load(NAMED.replace("calibration: c", "calibration: packs/c"), "made.yaml", resolver(FILE))
    assert made.digest != other.digest
    assert made.digest == moved.digest


def test_a_policy_can_be_read_before_its_calibration_is_made() -> None:
    bare = load(NAMED, "made.yaml", resolver(b""), calibrated=False)
    without = load(NAMED.replace("calibration: c.json", ""), "made.yaml", resolver(b""))
    assert bare.calibrations == {}
    assert bare.digest == without.digest


def test_a_pack_names_a_file_beside_it_and_a_policy_names_another() -> None:
    files = {"packs/p.yaml": NAMED.encode(), "packs/c.json": FILE, "d.json": changed(version="2")}
    main = "gauger: 1\nuse: [packs/p.yaml]\n"
    made = load(main, "main.yaml", lambda name: files[name])
    assert made.calibrations["theft"].version == "1.2"
    own = main + "scorecards: [{id: theft, set: {calibration: d.json, promise.tag: 2% of owners/month}}]\n"
    assert load(own, "main.yaml", lambda name: files[name]).calibrations["theft"].version == "2"


@pytest.mark.parametrize(
    ("text", "content", "said"),
    [
        (NAMED, b"{}", "`c.json`: this is no calibration"),
        (NAMED, FILE.replace(b"-19.99", b"-29.99"), "`c.json`: it was changed after it was made"),
        (NAMED, b"\xff", "`c.json` is not UTF-8"),
        (NAMED.replace("c.json", "d.json"), FILE, "`d.json` can't be read: No such file or directory"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_where_it_is_named(text: str, content: bytes, said: str) -> None:
    with pytest.raises(PolicyErrors):
        load(text, "made.yaml", resolver(content))
    (finding,) = findings(content, text)
    assert finding.message.startswith(said)
    assert (finding.code, finding.severity) == ("calibration", "error")
    assert text.splitlines()[finding.line - 1][finding.column - 1 :].endswith(".json")


def test_a_pack_can_not_lead_out_of_the_folder() -> None:
    pack = NAMED.replace("c.json", "../../c.json").encode()
    found = check("gauger: 1\nuse: [packs/p.yaml]\n", "main.yaml", lambda name: pack)
    assert [each.message for each in found] == ["`../../c.json` leads out of the policy's folder"]


@pytest.mark.parametrize(("share", "text"), [(0.001, "0.1%"), (0.014867, "1.49%"), (1.0, "100%"), (0.00005, "0.005%")])
def test_shares_are_written_in_three_digits(share: float, text: str) -> None:
    assert percent(share) == text

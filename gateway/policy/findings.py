"""Pure. Findings as machines read them: GitHub's workflow commands, SARIF 2.1.0, and JSON."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from gateway.documents import Finding

__all__ = ["as_json", "github", "sarif"]

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def github(findings: Iterable[Finding]) -> str:
    """One command a line: `::error file=…,line=…,col=…,title=…::message`, the hint on a line of its own in it.

    Escaping as in actions/toolkit, packages/core/src/command.ts: `%` and line ends, in properties `:` and `,` too.
    """
    lines = []
    for each in findings:
        places = {"file": each.file, "line": each.line, "col": each.column, "title": f"gauger {each.code}"}
        properties = ",".join(f"{key}={_property(str(value))}" for key, value in places.items())
        text = f"{each.message}\nhint: {each.hint}" if each.hint else each.message
        lines.append(f"::{each.severity} {properties}::{_data(text)}\n")
    return "".join(lines)


def sarif(findings: Iterable[Finding], version: str) -> str:
    """A log of one run (SARIF 2.1.0); a rule is a finding's code. Names of files are seen from the current folder."""
    every = list(findings)
    codes = sorted({each.code for each in every})
    driver = {"name": "gauger", "version": version, "rules": [{"id": code} for code in codes]}
    results: list[dict[str, Any]] = [
        {
            "ruleId": each.code,
            "ruleIndex": codes.index(each.code),
            "level": each.severity,
            "message": {"text": f"{each.message} ({each.hint})" if each.hint else each.message},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": _artifact(each.file),
                        "region": {"startLine": each.line, "startColumn": each.column},
                    }
                }
            ],
        }
        for each in every
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def as_json(findings: Iterable[Finding]) -> str:
    """A list of objects: file, line, column, severity, code, message, hint."""
    keys = ("file", "line", "column", "severity", "code", "message", "hint")
    return json.dumps([{key: getattr(each, key) for key in keys} for each in findings], indent=2) + "\n"


def _artifact(file: str) -> dict[str, str]:
    path = file.replace("\\", "/")
    if path.startswith("/"):
        return {"uri": f"file://{quote(path)}"}
    return {"uri": quote(path, safe="/"), "uriBaseId": "%SRCROOT%"}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

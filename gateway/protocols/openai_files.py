"""Pure. OpenAI files and batches: an upload's lines are folded as they stream through; a batch names the file."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.errors import Refusal
from gateway.protocols import Answer, Call, Dialect, Folded, Json, Lines, Meter, Op, ParseLine, Path, Route
from gateway.refusals import Vendor
from gateway.wire.json import parse as parse_json
from gateway.wire.meters import Body

__all__ = ["OpenAIFiles"]

MAX_LINE = 1_048_576  # bytes; a longer line is counted and not read
MAX_PARTS = 64  # parts of a form that are looked at; an upload has two or three


class OpenAIFiles(Dialect):
    """POST /v1/files and POST /v1/batches."""

    vendor: ClassVar[Vendor] = "openai"
    provider = "openai"

    def match(self, method: str, path: str) -> Route | None:
        if method != "POST":
            return None
        if path in ("/v1/files", "/files"):
            return Route("openai_files", "openai", "/v1/files", "upload", "upload")
        if path in ("/v1/batches", "/batches"):
            return Route("openai_files", "openai", "/v1/batches", "batch", "batch")
        return None

    def parse(self, route: Route, body: bytes) -> tuple[Call, ...]:
        value = parse_json(body)
        if not isinstance(value, dict):
            raise Refusal("bad_request", 400, "invalid_type", "The body must be a JSON object.")
        file = value.get("input_file_id")
        if file is not None and not isinstance(file, str):
            raise Refusal("bad_request", 400, "invalid_type", "input_file_id must be a string.", param="input_file_id")
        return (Call(op="batch", model=None, body=value, file=file or "unknown"),)

    def meter(self, route: Route, calls: Sequence[Call]) -> Meter:
        return _FileMeter()

    def clampable(self, op: Op) -> Mapping[str, tuple[Path, ...]]:
        return {}

    def lines(self, route: Route, content_type: bytes, parse_line: ParseLine) -> Lines | None:
        """A fold over the lines of this upload; None where the body is no form with a boundary."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:
            return None
        return _UploadLines(boundary, parse_line)


class _UploadLines(Lines):
    """Follows a multipart form; memory is one line and one header at most."""

    def __init__(self, boundary: bytes, parse_line: ParseLine) -> None:
        self._parse_line = parse_line
        self._parser: MultipartParser | None = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
            },
        )
        self._field = self._value = b""
        self._name = self._purpose = b""
        self._is_file = self._skipping = False
        self._carry = b""
        self._parts = 0
        self._folded = Folded()

    def feed(self, data: bytes) -> None:
        if self._parser is None or self._folded.bad:  # after a bad line nothing is known, and nothing more is read
            return
        try:
            self._parser.write(data)
        except FormParserError:  # the model server will say so; what was read until here counts
            self._parser = None

    def finish(self) -> Folded | None:
        whole = self._parser is not None and not self._folded.bad  # else nobody knows what the batch will cost
        return self._folded if whole and self._purpose.strip() == b"batch" and self._folded.lines else None

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise FormParserError("too many parts")
        self._name = b""
        self._is_file = False
        self._carry = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field = (self._field + data[start:end])[:256]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value = (self._value + data[start:end])[:4096]

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._name = options.get(b"name", b"")
            self._is_file = self._name == b"file"
            if self._name == b"purpose":
                self._purpose = b""
        self._field = self._value = b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == b"purpose":
            self._purpose = (self._purpose + data[start:end])[:64]
        elif self._is_file:
            pieces = data[start:end].split(b"\n")
            if not self._skipping:
                pieces[0] = self._carry + pieces[0]
            for piece in pieces[:-1]:
                if self._skipping:
                    self._skipping = False
                elif not self._folded.bad:
                    self._line(piece)
            self._carry = pieces[-1]
            if len(self._carry) > MAX_LINE and not self._skipping:
                self._folded = self._folded.add_bad()
                self._carry, self._skipping = b"", True
            elif self._skipping:
                self._carry = b""

    def _part_end(self) -> None:
        if self._is_file and self._carry and not self._skipping:
            self._line(self._carry)
        self._carry, self._skipping, self._is_file = b"", False, False

    def _line(self, line: bytes) -> None:
        line = line.strip()
        if not line:
            return
        if line[:1] != b"{":
            self._folded = self._folded.add_bad()
            return
        try:
            value = parse_json(line)
            url, body = (value.get("url"), value.get("body")) if isinstance(value, dict) else (None, None)
            calls = self._parse_line("POST", url, orjson.dumps(body)) if isinstance(url, str) else None
        except Refusal:
            calls = None
        self._folded = self._folded.add(calls) if calls else self._folded.add_bad()


class _FileMeter(Meter):
    """Reads the id of the file or batch from the answer; there is no usage yet."""

    def __init__(self) -> None:
        self._ok = False
        self._found: Json = None
        self._body = Body(lambda name, data: None, self._document, "id")

    def start(self, status: int, content_type: bytes, content_encoding: bytes) -> None:
        self._ok = 200 <= status < 300
        self._body.start(content_type, content_encoding)

    def feed(self, data: bytes) -> None:
        self._body.feed(data)

    def finish(self) -> Answer:
        complete = self._body.finish() and self._ok
        found = self._found.get("id") if complete and isinstance(self._found, dict) else None
        return Answer(id=found, file=found, complete=complete) if isinstance(found, str) else Answer(complete=complete)

    def _document(self, value: Json) -> None:
        self._found = value

"""Shell. OpenAI's files and batches, kept in memory; a batch is done when its creation is answered."""

from collections.abc import Callable
from typing import Any

import msgspec
import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from gateway.standin.answers import created, seed_of, tag
from gateway.standin.exchange import MAX_KEPT, Ask, Fail, Reply, Shelf, Stream, answered, parsed, refused

__all__ = ["Batches"]

MAX_LINES = 50_000  # OpenAI's own bound
DAY = 86_400
Worker = Callable[[Ask], Reply | Stream]


class Stored(msgspec.Struct, frozen=True):
    """A file: what the API says of it, and its bytes."""

    about: dict[str, Any]
    content: bytes


class Batches:
    """Files and batches of one stand-in. The same content, name and purpose have the same id.

    `workers`: the path that a line of a batch names -> what answers there.
    """

    def __init__(self, workers: dict[str, Worker]) -> None:
        self._workers = workers
        self._files: Shelf[Stored] = Shelf()
        self._batches: Shelf[dict[str, Any]] = Shelf()

    def upload(self, ask: Ask) -> Reply:
        """POST /v1/files, a form with `purpose` and `file`."""
        fields, files = _form(ask)
        if "file" not in files:
            raise Fail(400, "'file' is a required property", None, "file")
        if "purpose" not in fields:
            raise Fail(400, "'purpose' is a required property", None, "purpose")
        name, content = files["file"]
        return answered(self._keep(name, fields["purpose"], content))

    def files(self, ask: Ask) -> Reply:
        """GET /v1/files."""
        wanted = ask.query.get("purpose")
        return answered(_listed([each.about for each in self._files.all() if wanted in (None, each.about["purpose"])]))

    def file(self, ask: Ask) -> Reply:
        """GET /v1/files/{id}."""
        return answered(self._file(ask.args[0]).about)

    def content(self, ask: Ask) -> Reply:
        """GET /v1/files/{id}/content."""
        return Reply(self._file(ask.args[0]).content, kind="application/octet-stream")

    def remove(self, ask: Ask) -> Reply:
        """DELETE /v1/files/{id}."""
        name = ask.args[0]
        self._file(name)
        self._files.take(name)
        return answered({"id": name, "object": "file", "deleted": True})

    def create(self, ask: Ask) -> Reply:
        """POST /v1/batches. Its output file has a line for each line of the input, failed ones included."""
        body = parsed(ask.body)
        source, endpoint = body.get("input_file_id"), body.get("endpoint")
        if not isinstance(source, str):
            raise Fail(
                400, "Missing required parameter: 'input_file_id'.", "missing_required_parameter", "input_file_id"
            )
        if not isinstance(endpoint, str) or endpoint not in self._workers:
            raise Fail(400, "Invalid value for 'endpoint'.", "invalid_value", "endpoint")
        lines = [line for line in self._file(source).content.splitlines() if line.strip()]
        if len(lines) > MAX_LINES:
            raise Fail(400, f"A batch has at most {MAX_LINES} lines.", "too_many_tasks")
        answers = bytearray()
        failed = 0
        for index, line in enumerate(lines):
            status, answer = self._line(endpoint, line, seed_of(ask.seed, b"%d" % index))
            failed += status != 200
            answers += answer + b"\n"
            if len(answers) > MAX_KEPT:
                raise Fail(400, "The answers to this batch are more than is kept.", "too_large")
        name = f"batch_{tag(ask.seed, 'batch', 32)}"
        output = self._keep(f"{name}_output.jsonl", "batch_output", bytes(answers))
        when = created(ask.seed)
        batch = {
            "id": name,
            "object": "batch",
            "endpoint": endpoint,
            "errors": None,
            "input_file_id": source,
            "completion_window": body.get("completion_window", "24h"),
            "status": "completed",
            "output_file_id": output["id"],
            "error_file_id": None,
            "created_at": when,
            "in_progress_at": when,
            "expires_at": when + DAY,
            "finalizing_at": when,
            "completed_at": when,
            "failed_at": None,
            "expired_at": None,
            "cancelling_at": None,
            "cancelled_at": None,
            "request_counts": {"total": len(lines), "completed": len(lines) - failed, "failed": failed},
            "metadata": body.get("metadata"),
        }
        self._batches.put(name, batch, len(ask.body))
        return answered(batch)

    def batches(self, ask: Ask) -> Reply:
        """GET /v1/batches."""
        return answered(_listed(self._batches.all()))

    def batch(self, ask: Ask) -> Reply:
        """GET /v1/batches/{id}, and POST …/cancel: a batch is done before it can be cancelled."""
        found = self._batches.get(ask.args[0])
        if found is None:
            raise Fail(404, f"No batch found with id '{ask.args[0]}'.")
        return answered(found)

    def _file(self, name: str) -> Stored:
        found = self._files.get(name)
        if found is None:
            raise Fail(404, f"No such File object: {name}", None, "id")
        return found

    def _keep(self, filename: str, purpose: str, content: bytes) -> dict[str, Any]:
        seed = seed_of(filename.encode(), purpose.encode(), content)
        name = f"file-{tag(seed, 'file')}"
        about = {
            "id": name,
            "object": "file",
            "bytes": len(content),
            "created_at": created(seed),
            "expires_at": None,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }
        self._files.put(name, Stored(about, content), len(content))
        return about

    def _line(self, endpoint: str, line: bytes, seed: bytes) -> tuple[int, bytes]:
        """The status of the answer to this line, and the line that tells it."""
        custom = None
        try:
            value = parsed(line)
            custom = value.get("custom_id")
            if not isinstance(value.get("body"), dict):
                raise Fail(400, "A line must be an object with a 'body'.", "invalid_json_line")
            body = {key: each for key, each in value["body"].items() if key != "stream"}
            reply = self._workers[endpoint](Ask("POST", endpoint, {}, {}, orjson.dumps(body), seed))
            assert isinstance(reply, Reply), "without `stream` no answer is a stream"
        except Fail as fail:
            reply = refused("openai", fail, seed)
        told = orjson.Fragment(reply.body)
        response = {"status_code": reply.status, "request_id": tag(seed, "request", 32), "body": told}
        full = {"id": f"batch_req_{tag(seed, 'line', 32)}", "custom_id": custom, "response": response, "error": None}
        return reply.status, orjson.dumps(full)


def _listed(items: list[dict[str, Any]]) -> dict[str, Any]:
    ends = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
    return {"object": "list", "data": items, **ends, "has_more": False}


def _form(ask: Ask) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
    """Fields, and files as name and content, of multipart/form-data (RFC 7578)."""
    kind, options = parse_options_header(ask.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise Fail(400, "The body must be multipart/form-data.")
    fields: dict[str, str] = {}
    files: dict[str, tuple[str, bytes]] = {}

    def on_field(field: Field) -> None:
        fields[_name(field.field_name)] = _name(field.value)

    def on_file(file: File) -> None:
        file.file_object.seek(0)
        files[_name(file.field_name)] = (_name(file.file_name), file.file_object.read())

    config = {"MAX_MEMORY_FILE_SIZE": len(ask.body) + 1}  # never a file on disk
    try:
        parser = FormParser("multipart/form-data", on_field, on_file, boundary=boundary, config=config)
        parser.write(ask.body)
        parser.finalize()
    except FormParserError:
        raise Fail(400, "The form could not be parsed.") from None
    return fields, files


def _name(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace")

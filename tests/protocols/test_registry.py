"""Which dialect speaks on a path, and whose words are spoken where none does."""

import pytest

from gateway import dialects


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/chat/completions", "openai_chat"),
        ("/v1/chat/completions/", "openai_chat"),
        ("/v1//chat//completions", "openai_chat"),
        ("/V1/Chat/Completions", "openai_chat"),
        ("/v1/ch%61t/completions", "openai_chat"),
        ("/openai/v1/chat/completions", "openai_chat"),
        ("/openai/deployments/chat/completions", "openai_completions"),
        ("/openai/deployments/chat/chat/completions", "openai_chat"),
        ("/v1/completions", "openai_completions"),
        ("/v1/messages", "anthropic_messages"),
        ("/v1/messages/count_tokens", "anthropic_messages"),
        ("/v1beta/models/gemini-pro:generateContent", "gemini"),
        ("/v1beta/models/gemini-pro%3AgenerateContent", "gemini"),
        ("/v1beta/models/gemini-pro:GENERATECONTENT", "gemini"),
    ],
)
def test_a_path_is_matched_as_the_most_lenient_server_would(path: str, dialect: str) -> None:
    found = dialects.match("POST", path)
    assert found is not None
    assert found[1].dialect == dialect


@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses/resp_1",
        "/v1/responses/resp_1/cancel",
        "/v1/models",
        "/chat",
        "/",
        "",
        "/v1beta/models/gemini-pro",
        "/v1beta/models/a/b:generateContent",
        "/v1beta/publishers/google/models/x:generateContent",
        "/v1beta/models/x:predict",
        "/x/v1/chat/completions",
    ],
)
def test_no_dialect_speaks_on_other_paths(path: str) -> None:
    assert dialects.match("POST", path) is None


def test_the_case_of_a_models_name_is_kept() -> None:
    found = dialects.match("POST", "/openai/deployments/My-GPT/chat/completions")
    assert found is not None
    assert found[1].model == "My-GPT"


@pytest.mark.parametrize(
    ("path", "names", "vendor"),
    [
        ("/v1/messages", [], "anthropic"),
        ("/v1/messages/batches", [], "anthropic"),
        ("/v1/models", [b"host", b"anthropic-version"], "anthropic"),
        ("/v1beta/files", [], "gemini"),
        ("/v1alpha/x", [], "gemini"),
        ("/v1beta/openai/models", [b"authorization"], "openai"),
        ("/upload", [b"x-goog-api-key"], "gemini"),
        ("/v1/models", [b"authorization"], "openai"),
        ("/v1/messagesx", [], "openai"),
        ("/", [], "openai"),
    ],
)
def test_the_vendor_is_guessed_from_path_and_headers(path: str, names: list[bytes], vendor: str) -> None:
    assert dialects.vendor_of(path, names) == vendor


def test_what_no_dialect_reads_has_a_route_for_each_vendor() -> None:
    assert {vendor: (route.vendor, route.op) for vendor, route in dialects.OPAQUE.items()} == {
        "openai": ("openai", "opaque"),
        "anthropic": ("anthropic", "opaque"),
        "gemini": ("gemini", "opaque"),
    }

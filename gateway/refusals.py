"""Pure. Refusals and limit headers in the words of each vendor, so that his SDK's retry logic does the right thing."""

from typing import Literal

Vendor = Literal["openai", "anthropic", "gemini"]

"""Pure. The language of policies/*.yaml: a compiled `Policy`, and the loader that makes it from text."""

"""Pure. The language of conditions: text -> syntax tree -> checked -> compiled, and asked what would turn it.

Adding a function is a row in `expressions.FUNCTIONS`, its kinds in `typecheck.py`, its code in `emit.py`, and its
meaning in `interpreter.py`, which the compiled code is tested against.
"""

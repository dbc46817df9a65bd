"""Python values as their ``repr`` shows them, which is what some logs hold instead of JSON."""

import ast
from typing import Any

_MAX_DEPTH = 50
_OPENING, _CLOSING = "([{", ")]}"


def parse_literal(text: str) -> Any:  # Any: whatever the literal is, as JSON would have it
    """Return the value that `text` shows, with tuples and sets as lists.

    What is no literal is taken for what it holds or says: ``PosixPath('/x')`` and
    ``np.float64(0.5)`` are their one argument, ``nan`` and ``inf`` are numbers, anything else is
    its own text. Nothing is ever called.

    Raises
    ------
    ValueError
        `text` is no Python expression, or nested deeper than 50 levels.
    """
    _check_depth(text)
    try:
        return _plain(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f"not a Python literal: {error}") from error


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the parser descends into it; brackets in strings count too."""
    depth = 0
    for character in text:
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth = max(0, depth - 1)
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")


def _plain(node: ast.expr) -> Any:  # Any: as above
    match node:
        case ast.Constant(value=bytes() as value):
            return value.decode("utf-8", "replace")
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.Dict(keys=keys, values=values):
            return {
                _key(key): _plain(value)
                for key, value in zip(keys, values, strict=True)
                if key is not None
            }
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [_plain(item) for item in items]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _plain(operand)
            return -value if isinstance(value, int | float) else ast.unparse(node)
        case ast.Name(id="nan" | "inf" as name):
            return float(name)
        case ast.Call(args=[argument], keywords=[]):
            return _plain(argument)
        case _:
            return ast.unparse(node)


def _key(node: ast.expr) -> str:
    value = _plain(node)
    return value if isinstance(value, str) else str(value)

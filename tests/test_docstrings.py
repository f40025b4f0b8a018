"""Docstrings agree with the code: arguments with signatures, `Raises:` with what a function raises itself."""

import ast
import builtins
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("glcic_hub", "train", "model_card", "spaces_app")

SPECIAL = ("__init__", "__call__")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(node: ast.Module | ast.ClassDef) -> Iterator[tuple[str, Function, str]]:
    """The public functions and methods: their name, they themselves, and what is said of them.

    What a class needs is said by the docstring of the class.
    """
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            of_class = ast.get_docstring(child) or ""
            for name, function, docstring in functions(child):
                yield f"{child.name}.{name}", function, of_class if name == "__init__" else docstring
        elif isinstance(child, Function) and (not child.name.startswith("_") or child.name in SPECIAL):
            yield child.name, child, ast.get_docstring(child) or ""


def section(docstring: str, title: str) -> list[str]:
    """What stands in front of the colons of a section, such as `Args:`; a line may name several."""
    found = re.search(rf"^{title}:\n((?:    .*\n|\n)*)", f"{docstring}\n", re.MULTILINE)
    lines = re.findall(r"^    (\S[^:]*):", found[1], re.MULTILINE) if found else []
    return [name.strip() for line in lines for name in line.split(",")]


def arguments(function: Function) -> list[str]:
    """As docstrings name them, without `self` and `cls`."""
    signature = function.args
    names = [one.arg for one in (*signature.posonlyargs, *signature.args)]
    names += [f"*{signature.vararg.arg}"] if signature.vararg else []
    names += [one.arg for one in signature.kwonlyargs]
    names += [f"**{signature.kwarg.arg}"] if signature.kwarg else []
    return [name for name in names if name not in ("self", "cls")]


def raised(function: Function) -> set[str]:
    """The names of the errors of its own `raise` statements, without those of functions inside."""
    names, todo = set(), [*function.body]
    while todo:
        node = todo.pop()
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and node.exc:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            names.add(ast.unparse(error).rsplit(".", 1)[-1])
        todo += ast.iter_child_nodes(node)
    return {name for name in names if name[:1].isupper()}  # others are variables


def with_bases(name: str) -> set[str]:
    """The name of an error, and those of Python's own classes that it is one of."""
    error = getattr(builtins, name, None)
    return {name} | {base.__name__ for base in inspect.getmro(error)[:-3]} if error else {name}


def public(package: str) -> list[tuple[str, Function, str]]:
    return [
        (f"{file.relative_to(ROOT)}: {name}", function, docstring)
        for file in sorted((ROOT / package).rglob("*.py"))
        for name, function, docstring in functions(ast.parse(file.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_arguments_are_those_of_the_signature(package):
    """Where there is `Args:`, it names all of them."""
    wrong = [
        f"{name} has {', '.join(arguments(function))}, and says {', '.join(named)}"
        for name, function, docstring in public(package)
        if (named := section(docstring, "Args")) and sorted(named) != sorted(arguments(function))
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_raised_is_said(package):
    unsaid = [
        f"{name}: {error}"
        for name, function, docstring in public(package)
        for error in raised(function)
        if with_bases(error).isdisjoint(section(docstring, "Raises"))
    ]
    assert unsaid == []


def test_the_checks_can_tell():
    code = '''
class Public:
    """One.

    Args:
        size, *more: two.
        other: another
            one: not an argument.

    Raises:
        ValueError, OSError: wrong.
    """

    def __init__(self, size, *more, other=None):
        raise FileNotFoundError("no")

    def _private(self):
        raise TypeError

    async def method(self, **rest):
        def inner():
            raise KeyError
        raise errors.CannotRead("x") from None
'''
    (_, made, of_class), (name, method, _) = functions(ast.parse(code))
    assert section(of_class, "Args") == arguments(made) == ["size", "*more", "other"]
    assert section(of_class, "Raises") == ["ValueError", "OSError"]
    assert with_bases(*raised(made)) == {"FileNotFoundError", "OSError"}
    assert (name, arguments(method), raised(method)) == ("Public.method", ["**rest"], {"CannotRead"})

"""The package's sources -> files that stand alone, for users who have not installed the package.

diffusers fetches two single files of code from a repository: `pipeline.py` and `completion_network/glcic_hub.py`. They
are made here from the sources of `glcic_hub`: the statements that the wanted classes and functions need, as they
stand, with their comments. What several modules call by the same name (`images.read`, `masks.read`) is renamed
(`images_read`, `masks_read`).
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import glcic_hub

PACKAGE = glcic_hub.__name__
HEADER = f'''"""{{title}}

Generated from the sources of {PACKAGE} {glcic_hub.__version__} by its model_card.build: change them there, not here.
The network is that of Iizuka, Simo-Serra, Ishikawa: "Globally and Locally Consistent Image Completion", ACM
Transactions on Graphics 36(4), article 107 (SIGGRAPH 2017).
Copyright the {PACKAGE} authors. Licensed under the Apache License, Version 2.0.
"""
'''

Key = tuple[str, str]
"""(module, name) of something that the package defines."""

Edit = tuple[int, int, int, str]
"""Line (from 1), first and last column in bytes, and what to write there."""


@dataclass
class Module:
    """A module of the package, taken apart.

    lines: the source as bytes, because the positions of `ast` count these.
    statements: name -> the statements at the top level that make it.
    package: local name -> what it means in the package; ("images", "") is the module itself.
    outside: local name -> (module, what is imported from it); `import numpy as np` is ("", "numpy as np").
    """

    name: str
    lines: list[bytes]
    statements: defaultdict[str, list[ast.stmt]] = field(default_factory=lambda: defaultdict(list))
    package: dict[str, Key] = field(default_factory=dict)
    outside: dict[str, tuple[str, str]] = field(default_factory=dict)


def standalone(title: str, *wanted: str) -> str:
    """The source of a module that defines `wanted` (as "pipeline.GLCICPipeline") and imports nothing of the package.

    Raises:
        ValueError: the package does something that cannot be put into one file by this simple procedure.
    """
    modules: dict[str, Module] = {}
    needed: set[Key] = set()
    todo: list[Key] = [tuple(name.split(".")) for name in wanted]
    while todo:
        key = todo.pop()
        if key in needed:
            continue
        needed.add(key)
        if key[0] not in modules:
            modules[key[0]] = parsed(key[0])
        module = modules[key[0]]
        if key[1] not in module.statements:
            raise ValueError(f"{PACKAGE}.{key[0]} does not define {key[1]}")
        todo += [used for statement in module.statements[key[1]] for _, used in references(module, statement)]

    definers = Counter(name for _, name in needed)
    final = {key: key[1] if definers[key[1]] == 1 else _with_module(key) for key in needed}
    parts, imports = [], {}
    for module in _dependencies_first(modules):
        own = [(name, nodes) for name, nodes in module.statements.items() if (module.name, name) in needed]
        parts.append(f"# {'-' * (117 - len(module.name))} {module.name}")
        for name, nodes in own:
            before, after = ("\n\n", "\n\n") if isinstance(nodes[0], ast.FunctionDef | ast.ClassDef) else ("\n", "")
            parts.append(before + "\n".join(_text(module, name, node, final) for node in nodes) + after)
        for local, origin in _imports_of(module, [node for _, nodes in own for node in nodes]):
            if imports.setdefault(local, origin) != origin or local in final.values():
                raise ValueError(f"{local} means two things in {PACKAGE}: it cannot be put into one file")
    code = "\n".join([HEADER.format(title=title), _import_lines(imports) + "\n", *parts])
    return re.sub(r"\n{4,}", "\n\n\n", code).rstrip() + "\n"


def parsed(name: str) -> Module:
    """Take a module of the package apart. What it does besides defining names (registering itself) is left out."""
    source = (Path(glcic_hub.__file__).parent / f"{name.replace('.', '/')}.py").read_bytes()
    module = Module(name, source.splitlines())
    last = None
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            module.outside |= {alias.asname or alias.name: ("", _as_written(alias)) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                local = alias.asname or alias.name
                if node.module == PACKAGE:
                    module.package[local] = (alias.name, "")
                elif node.module.startswith(f"{PACKAGE}."):
                    module.package[local] = (node.module.removeprefix(f"{PACKAGE}."), alias.name)
                else:
                    module.outside[local] = (node.module, _as_written(alias))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last:
            module.statements[last].append(node)  # the docstring of a constant
        else:
            last = _defined(node)
            if last:
                module.statements[last].append(node)
    return module


def references(module: Module, statement: ast.stmt) -> Iterator[tuple[ast.expr, Key]]:
    """What a statement uses of the package, and where: names, and attributes of imported modules.

    Raises:
        ValueError: it imports the package inside a function, or uses a module as a value.
    """
    modules = {name for name, key in module.package.items() if not key[1]}
    of_modules = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == PACKAGE:
            raise ValueError(f"{PACKAGE}.{module.name} imports {node.module} inside a function (line {node.lineno})")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            of_modules.add(node.value)
            yield node, (module.package[node.value.id][0], node.attr)
        elif isinstance(node, ast.Name) and node not in of_modules:
            if node.id in modules:
                raise ValueError(f"{PACKAGE}.{module.name} uses {node.id} itself (line {node.lineno})")
            if node.id in module.package:
                yield node, module.package[node.id]
            elif node.id in module.statements:
                yield node, (module.name, node.id)


def _text(module: Module, name: str, node: ast.stmt, final: dict[Key, str]) -> str:
    """The source of a statement, with its comments, under the final names."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and "\n" in str(node.value.value):
        return ast.unparse(node)  # in one line: diffusers takes "from x import y" in a text for an import of ours
    edits = [
        (at.lineno, at.col_offset, at.end_col_offset, final[key])
        for at, key in references(module, node)
        if ast.unparse(at) != final[key]
    ]
    if hidden := {edit[3] for edit in edits} & _local_names(node):
        raise ValueError(f"{PACKAGE}.{module.name}: {name} has local names that hide others: {', '.join(hidden)}")
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and final[module.name, name] != name:
        start = module.lines[node.lineno - 1].index(name.encode(), node.col_offset)
        edits.append((node.lineno, start, start + len(name), final[module.name, name]))
    lines = module.lines.copy()
    for line, start, end, text in sorted([*edits, *_bare_components(module, node)], reverse=True):
        lines[line - 1] = lines[line - 1][:start] + text.encode() + lines[line - 1][end:]
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))]) - 1
    while first and lines[first - 1].startswith(b"#"):
        first -= 1
    return b"\n".join(lines[first : node.end_lineno]).decode()


def _bare_components(module: Module, node: ast.stmt) -> Iterator[Edit]:
    """Takes the types off the pipeline's components: diffusers would compare them with the other file's classes."""
    for method in getattr(node, "body", []):
        if isinstance(method, ast.FunctionDef) and method.name == "__init__" and module.name == "pipeline":
            for arg in method.args.args:
                if arg.annotation:
                    yield arg.lineno, arg.col_offset, arg.end_col_offset, arg.arg


def _defined(node: ast.stmt) -> str | None:
    """The name that a statement at the top level makes or changes."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None


def _local_names(node: ast.stmt) -> set[str]:
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return set()
    arguments = {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
    return arguments | {
        one.id for one in ast.walk(node) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)
    }


def _imports_of(module: Module, nodes: list[ast.stmt]) -> Iterator[tuple[str, tuple[str, str]]]:
    used = {one.id for node in nodes for one in ast.walk(node) if isinstance(one, ast.Name)}
    for local, origin in module.outside.items():
        if local.split(".")[0] in used:
            yield local, origin


def _import_lines(imports: dict[str, tuple[str, str]]) -> str:
    grouped = defaultdict(set)
    for source, name in imports.values():
        grouped[source].add(name)
    plain = [f"import {name}" for name in sorted(grouped.pop("", ()))]
    return "\n".join(
        plain + [f"from {source} import {', '.join(sorted(grouped[source]))}" for source in sorted(grouped)]
    )


def _dependencies_first(modules: dict[str, Module]) -> list[Module]:
    ordered: dict[str, Module] = {}

    def add(name: str) -> None:
        for other, _ in modules[name].package.values():
            if other in modules and other not in ordered:
                add(other)
        ordered[name] = modules[name]

    for name in sorted(modules):
        if name not in ordered:
            add(name)
    return list(ordered.values())


def _with_module(key: Key) -> str:
    module, name = key
    return re.sub(r"^(_*)", rf"\g<1>{module.replace('.', '_')}_", name)


def _as_written(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name

"""The rooms and arrows of `docs/architecture.md`, against the code's files and imports."""

import ast
import graphlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
ROOMS, FILLING_ROOMS = (
    [[line.split()[0] for line in floor.splitlines()] for floor in block.split("\n\n")]
    for block in re.findall(r"```\n(.*?)\n```", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.S)
)
"""The two lists, each from the top down: rooms of one block stand on one floor."""

PACKAGE = ROOT / "glcic_hub"
FILLING = "glcic_hub/filling/"
FLOOR = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
FILLING_FLOOR = {FILLING + room: number for number, rooms in enumerate(FILLING_ROOMS) for room in rooms}

LEAVES = [
    *(f"glcic_hub/{name}.py" for name in ("network", "errors", "atomic", "device")),
    *(f"{FILLING}{name}.py" for name in ("options", "grids")),
]
"""They import nothing of ours."""

DOORS = {"fill": {"fill", "Filled"}, "completer": {"Completer", "ReadyCompleter", "completer_of"}}
"""What of `filling` is for everybody, by module; and all of `options`."""

INSIDERS = {
    "glcic_hub/export/view.py": {"CONTEXT"},  # the graph chooses its view as the completer does
    "tests/benchmark/contestants.py": {"Window", "complete_window"},  # a window as a way of its own, to compare with
    "tests/benchmark/machine.py": {"fastest_dtype"},  # the report says what the models compute in
    "tests/benchmark/seam.py": {"NEIGHBOURS", "correct_seam"},  # the seam is what it measures
    "train/layout.py": {"find_holes"},  # it compares at the scale at which networks see them
}
"""Who has more of `filling`, and what."""


class Arrow(NamedTuple):
    """An import: the file that has it, the file it leads to, and the name that is taken from there."""

    source: str
    target: str
    name: str

    def __str__(self) -> str:
        return f"{self.source} imports {self.name or 'all'} of {self.target}"


def files() -> list[str]:
    """All Python files of the rooms."""
    folders = {room.split("/")[0] for room in FLOOR}
    paths = [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.as_posix() for path in paths if "node_modules" not in path.parts)


@cache
def tree_of(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def file_of(module: str, source: str) -> str | None:
    """The file of one of our modules; None if it is none of ours."""
    path = module.replace(".", "/")
    beside = Path(source).parent / path  # the Space's files are started as programs and find each other there
    places = [f"{path}.py", f"{path}/__init__.py"] + [f"{beside}.py"] * source.startswith("spaces_app/")
    return next((place for place in places if (ROOT / place).is_file()), None)


def arrows_of(file: str) -> list[Arrow]:
    """Wherever they stand in it: at the top, inside functions, for type checkers alone."""
    arrows = []
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute here"
            found = [(node.module, alias.name) for alias in node.names]
        else:
            continue
        for module, name in found:
            if inner := name and file_of(f"{module}.{name}", file):
                arrows.append(Arrow(file, inner, ""))
            elif target := file_of(module, file):
                arrows.append(Arrow(file, target, name))
    return arrows


ARROWS = [arrow for file in files() for arrow in arrows_of(file)]


def room_of(file: str) -> str:
    """The room that a file is in: the longest name that it begins with."""
    return max((room for room in FLOOR if file.startswith(room)), key=len)


@cache
def names_in(file: str) -> set[str]:
    """What a file defines or imports at its top level."""
    names, todo = set(), [*tree_of(file).body]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        else:
            todo += ast.iter_child_nodes(node)
    return names


def test_the_lists_name_the_files_that_exist():
    for room in [*FLOOR, *FILLING_FLOOR]:
        assert (ROOT / room).is_dir() if room.endswith("/") else (ROOT / room).is_file(), room
    entries = {path for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir() and any(path.iterdir())}
    found = {f"glcic_hub/{path.name}{'/' * path.is_dir()}" for path in entries if path.name != "__pycache__"}
    assert found == {room for room in FLOOR if room.startswith("glcic_hub/")}
    assert {path.name for path in (PACKAGE / "filling").glob("*.py")} == {
        "__init__.py",
        *(name for floor in FILLING_ROOMS for name in floor),
    }
    folders = {path.parent.name for path in ROOT.glob("*/*.py") if not path.parent.name.startswith(".")}
    assert folders <= {room.split("/")[0] for room in FLOOR}


def test_arrows_are_found():
    """At the top of a file, inside functions, for type checkers, of modules, and of the Space's files."""
    for source, target, name in [
        ("glcic_hub/filling/fill.py", "glcic_hub/filling/completer.py", "Completer"),
        ("glcic_hub/formats.py", "glcic_hub/masks.py", ""),
        ("glcic_hub/workflow.py", "glcic_hub/images.py", "Picture"),
        ("glcic_hub/pipeline.py", "glcic_hub/images.py", ""),
        ("glcic_hub/cli/__init__.py", "glcic_hub/__init__.py", "__version__"),
        ("spaces_app/app.py", "spaces_app/work.py", ""),
    ]:
        assert Arrow(source, target, name) in ARROWS


def leads_down(arrow: Arrow) -> bool:
    source, target = room_of(arrow.source), room_of(arrow.target)
    if source != target:
        return FLOOR[source] < FLOOR[target]
    return source != FILLING or FILLING_FLOOR[arrow.source] < FILLING_FLOOR[arrow.target]


def test_arrows_lead_down():
    """From the tests to the package, from the command line to `network.py`, and never back."""
    assert not [str(arrow) for arrow in ARROWS if not leads_down(arrow)]


def test_no_files_import_each_other_in_a_circle():
    graph = {file: {arrow.target for arrow in ARROWS if arrow.source == file} - {file} for file in files()}
    list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names the circle


def test_leaves_need_nothing_of_ours():
    assert not [str(arrow) for arrow in ARROWS if arrow.source in LEAVES]


def test_filling_knows_neither_files_nor_kinds_of_pictures():
    known = {FILLING, "glcic_hub/model.py", "glcic_hub/network.py", "glcic_hub/device.py"}
    assert not [
        str(arrow) for arrow in ARROWS if arrow.source.startswith(FILLING) and room_of(arrow.target) not in known
    ]


def test_diffusers_is_for_the_pipeline_alone():
    imports = {
        file
        for file in files()
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if module.split(".")[0] == "diffusers" and file.startswith("glcic_hub/")
    }
    assert imports == {"glcic_hub/pipeline.py"}


def test_there_is_one_door_to_filling():
    """Tests of what is inside look inside; everybody else asks for what is for everybody."""
    inside = []
    for arrow in ARROWS:
        is_test = arrow.source.startswith("tests/") and not arrow.source.startswith("tests/benchmark/")
        if not arrow.target.startswith(FILLING) or arrow.source.startswith(FILLING) or is_test:
            continue
        module = Path(arrow.target).stem
        known = DOORS.get(module, set()) | INSIDERS.get(arrow.source, set())
        if module != "options" and arrow.name not in known:
            inside.append(str(arrow))
    assert not inside
    used = {(arrow.source, arrow.name) for arrow in ARROWS}
    assert {(source, name) for source, names in INSIDERS.items() for name in names} <= used


def test_what_is_imported_exists():
    """Also where no test runs it."""
    assert not [str(arrow) for arrow in ARROWS if arrow.name and arrow.name not in names_in(arrow.target)]

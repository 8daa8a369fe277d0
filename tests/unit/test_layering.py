"""Who may import whom, as far as import-linter cannot say it (pyproject.toml)."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "clerksync" / "clerksync"
LAYER = sorted(PACKAGE.glob("**/*.py"))
FUNCTIONS = sorted(ROOT.glob("functions/**/*.py"))
ROOMS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
# By the name under which it is imported, where that is not the package's.
IMPORTED_AS = {"pyjwt": "jwt", "pydantic-core": "pydantic_core"}


def imports(path: Path, *, only_at_import: bool = False) -> Iterator[str]:
    """The modules that a file imports, in full; those inside functions too."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in _outside_functions(tree) if only_at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively"
            yield node.module or ""


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _outside_functions(child)


def packages(path: Path, *, only_at_import: bool = False) -> set[str]:
    """The top-level packages that a file imports, the standard library's left out."""
    names = imports(path, only_at_import=only_at_import)
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


def shipped() -> set[str]:
    """What the layer's pinned requirements install, by the names imported."""
    text = (ROOT / "layers" / "clerksync" / "requirements.txt").read_text("utf-8")
    names = re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==", text, re.MULTILINE)
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", LAYER, ids=named)
def test_the_layer_imports_only_what_it_ships_with(path: Path) -> None:
    """Nothing of `functions` or `local`, and no package that is not pinned.

    boto3 comes with Lambda's runtime, and is imported only when it is used.
    """
    assert packages(path) <= {"clerksync", "boto3", "botocore"} | shipped()
    assert "boto3" not in packages(path, only_at_import=True)


@pytest.mark.parametrize("path", FUNCTIONS, ids=named)
def test_a_function_imports_only_from_the_layer(path: Path) -> None:
    """No other function, nothing of `local`, and no database driver of its own."""
    assert packages(path) <= {"clerksync", "pydantic"}


@pytest.mark.parametrize("path", LAYER, ids=named)
def test_no_room_imports_the_class_that_stands_on_all_rooms(path: Path) -> None:
    """import-linter does not look at the package itself."""
    assert "clerksync" not in set(imports(path))


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_a_room_opens_with_its_promise_and_re_exports_nothing(room: Path) -> None:
    """Two or three sentences, and no import: a module is imported by its own name."""
    tree = ast.parse((room / "__init__.py").read_text("utf-8"))
    promise = ast.get_docstring(tree)
    assert promise is not None
    assert promise.count(".") >= 2
    assert len(tree.body) == 1


@pytest.mark.parametrize("path", LAYER, ids=named)
def test_a_module_does_not_repeat_the_name_of_its_room(path: Path) -> None:
    """`bulk/report.py`, not `bulk/bulk_report.py`."""
    if path.parent != PACKAGE:
        assert not path.stem.startswith(path.parent.name)


def test_a_layer_with_a_package_missing_can_still_answer_cloudformation() -> None:
    """Else a deployment waits until it times out, and nobody knows why."""
    migrate = ROOT / "functions" / "migrate" / "app.py"
    answers = PACKAGE / "doors" / "cloudformation.py"
    assert set(imports(migrate, only_at_import=True)) <= {
        "threading",
        "collections.abc",
        "typing",
        "clerksync.doors.cloudformation",
    }
    above = [PACKAGE / "__init__.py", PACKAGE / "errors.py"]
    assert packages(answers) == set()
    assert set().union(*(packages(p, only_at_import=True) for p in above)) <= {
        "clerksync",
        "psycopg",  # for types only
    }


def test_all_files_are_looked_at() -> None:
    """A pattern that finds none, or a reader that reads none, would pass."""
    assert {"environment.py", "user_table.py"} <= {path.name for path in LAYER}
    assert len(FUNCTIONS) >= 3
    assert len(ROOMS) >= 8
    assert packages(PACKAGE / "clerk" / "api.py") == {"clerksync", "urllib3"}
    assert "boto3" in packages(PACKAGE / "settings" / "secrets_manager.py")
    assert {"psycopg", "pydantic", "urllib3", "jwt", "cryptography"} <= shipped()

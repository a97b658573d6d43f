"""The shape of the code base: import arrows, sizes, docstrings, doctests, and what an import costs."""

import ast
import doctest
import importlib
import inspect
import pathlib
import re
import subprocess
import sys

import pytest

import fungrad as fg

ROOT = pathlib.Path(fg.__file__).parent
PROJECT = ROOT.parent
FILES = sorted(ROOT.rglob("*.py"))

# A module imports only from its own layer and those before it.
LAYERS = [
    {"errors", "_util", "_executing"},
    {"tree", "tree_util"},
    {"core"},
    {"primitives"},
    {"interpreters", "passes"},
    {"compile"},
    {"control", "custom_batching", "custom_derivatives"},
    {"numpy", "scipy", "lax", "random"},
    {"transforms"},
    {"testing", "viz"},
]
RANK = {name: k for k, layer in enumerate(LAYERS) for name in layer}


def _module_name(path):
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [_module_name(p) for p in FILES]


def _imports(path):
    """(module that is imported, line, whether inside a function) for each import of fungrad's own modules."""
    source = ast.parse(path.read_text())
    inside = {
        id(n)
        for f in ast.walk(source)
        if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for n in ast.walk(f)
    }
    checking = {
        id(n)
        for f in ast.walk(source)
        if isinstance(f, ast.If) and "TYPE_CHECKING" in ast.dump(f.test)
        for n in ast.walk(f)
    }
    for node in ast.walk(source):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{a.name}" for a in node.names]
        for name in names:
            if id(node) not in checking:
                yield name, node.lineno, id(node) in inside


def _target(name):
    """The module that an imported name is in: ``fungrad.core.trace`` for ``fungrad.core.trace.Tracer``."""
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def _own(path):
    return [(_target(name), line, inside) for name, line, inside in _imports(path) if name.split(".")[0] == "fungrad"]


@pytest.mark.parametrize("path", FILES, ids=MODULES)
def test_arrows_point_to_the_left(path):
    """A module imports from layers to its left (or its own), never from fungrad itself."""
    name = _module_name(path)
    if name == "fungrad":
        return
    layer = name.split(".")[1]
    assert layer in RANK, f"{name} is in no layer of the design"
    for target, line, _ in _own(path):
        assert target != "fungrad", f"{path}:{line} imports the package's root"
        assert RANK[target.split(".")[1]] <= RANK[layer], f"{path}:{line}: {name} imports {target}, a later layer"


def test_there_are_no_import_cycles():
    """The graph of modules, at module level, can be put in an order."""
    graph = {_module_name(p): {t for t, _, _ in _own(p)} - {_module_name(p)} for p in FILES}
    for package in [m for m in MODULES if any(n.startswith(m + ".") for n in MODULES)]:
        # Importing a module runs the __init__ of its package, but that does not make its own imports a cycle.
        for name in graph:
            if name.startswith(package + "."):
                graph[name].discard(package)
    order, remaining = [], dict(graph)
    while remaining:
        free = [m for m, targets in remaining.items() if targets <= set(order)]
        assert free, f"cycle among {sorted(remaining)}"
        order.extend(free)
        for m in free:
            del remaining[m]


@pytest.mark.parametrize("path", FILES, ids=MODULES)
def test_modules_do_not_import_from_their_own_package(path):
    """What a package exports is made of its modules: one that imports from the package again would be a cycle."""
    own = {".".join(p.parts) for p in path.relative_to(PROJECT).parents if len(p.parts) > 1} - {_module_name(path)}
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.ImportFrom) or node.module not in own, f"{path}:{node.lineno}"


def test_the_core_knows_no_primitive():
    """core imports nothing of primitives, and names none of them in a string."""
    for path in (ROOT / "core").rglob("*.py"):
        for target, line, _ in _own(path):
            assert not target.startswith("fungrad.primitives"), f"{path}:{line}"


@pytest.mark.parametrize("path", FILES, ids=MODULES)
def test_imports_stand_at_the_top(path):
    """No import inside a function."""
    assert [line for _, line, inside in _imports(path) if inside] == []


@pytest.mark.parametrize("path", FILES, ids=MODULES)
def test_only_numpy_and_the_standard_library_are_imported(path):
    """The one dependency."""
    allowed = sys.stdlib_module_names | {"numpy", "fungrad"}
    assert {name.split(".")[0] for name, _, _ in _imports(path)} <= allowed


@pytest.mark.parametrize("path", FILES, ids=MODULES)
def test_files_can_be_read_in_one_sitting(path):
    """No module over 500 lines."""
    assert len(path.read_text().splitlines()) <= 500


@pytest.mark.parametrize("path", [p for p in FILES if p.read_text().strip()], ids=lambda p: _module_name(p))
def test_modules_open_with_a_docstring(path):
    """Every module says what it is."""
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=MODULES)
def test_no_broad_excepts_and_no_globals_loops(path):
    """Except clauses name what they expect; names are defined by writing them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            names = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"everything"}
            assert not names & {"everything", "Exception", "BaseException"}, f"{path}:{node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "globals", f"{path}:{node.lineno}"


# --- public names ---------------------------------------------------------------------------------------------------


def _public_objects():
    for name in MODULES:
        module = importlib.import_module(name)
        for attribute in getattr(module, "__all__", [a for a in vars(module) if not a.startswith("_")]):
            obj = getattr(module, attribute)
            if inspect.isfunction(obj) or inspect.isclass(obj):
                home = obj.__module__ or ""
                if home == name or (name == "fungrad" and home.startswith("fungrad")):
                    yield f"{name}.{attribute}", obj


PUBLIC = dict(_public_objects())


@pytest.mark.parametrize("name", [n for n in PUBLIC if n.split(".")[1] != "primitives"])
def test_public_names_have_docstrings(name):
    """Functions, classes, and the public methods that a class defines."""
    obj = PUBLIC[name]
    assert inspect.getdoc(obj), name
    if inspect.isclass(obj):
        for attribute, member in vars(obj).items():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if not attribute.startswith("_") and inspect.isfunction(function):
                assert function.__doc__, f"{name}.{attribute}"


def test_all_lists_what_there_is():
    """__all__ of the package is sorted by nothing but complete: every name exists, none is private or listed twice."""
    assert len(set(fg.__all__)) == len(fg.__all__)
    for name in fg.__all__:
        assert hasattr(fg, name)
        assert not name.startswith("_")
    public = {n for n, v in vars(fg).items() if not n.startswith("_") and not inspect.ismodule(v)}
    assert public <= set(fg.__all__)


def test_the_version():
    """A version as PEP 440 has it."""
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", fg.__version__)


def test_it_is_typed():
    """py.typed is there, so that type checkers look."""
    assert (ROOT / "py.typed").exists()


# --- doctests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_run(name):
    """Every example in a docstring gives what it says."""
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


TRANSFORMS = [
    "checkpoint",
    "grad",
    "value_and_grad",
    "elementwise_grad",
    "jvp",
    "vjp",
    "linearize",
    "linear_transpose",
    "jacfwd",
    "jacrev",
    "jacobian",
    "hessian",
    "hvp",
    "vmap",
    "make_jaxpr",
    "eval_shape",
    "eval_jaxpr",
    "stop_gradient",
    "psum",
    "custom_jvp",
    "custom_vjp",
    "custom_vmap",
    "sequential_vmap",
    "custom_gradient",
    "closure_convert",
    "linear_call",
]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_have_examples(name):
    """The public transforms show an example that runs."""
    assert doctest.DocTestFinder().find(getattr(fg, name))[0].examples


def test_the_readme_runs():
    """Examples in README.md give what they say, written as a Python session."""
    readme = PROJECT / "README.md"
    if not readme.exists():
        pytest.skip("an installed package has no README beside it")
    text = readme.read_text()
    assert ">>> " in text
    results = doctest.testfile(str(readme), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


# --- imports --------------------------------------------------------------------------------------------------------


def _run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=PROJECT, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_pulls_in_the_standard_library_and_numpy_only():
    """In a fresh interpreter."""
    out = _run(
        "import sys, numpy; before = set(sys.modules); import fungrad; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    assert set(out.split()) <= {"fungrad", "numpy"}


def test_import_imports_little_of_the_standard_library():
    """Nothing heavy: no asyncio, unittest, email, multiprocessing, typing_extensions."""
    out = _run(
        "import sys, numpy; before = set(sys.modules); import fungrad; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    heavy = {
        "asyncio",
        "unittest",
        "email",
        "http",
        "multiprocessing",
        "xml",
        "ssl",
        "sqlite3",
        "doctest",
        "pdb",
        "distutils",
        "importlib_metadata",
    }
    assert not heavy & set(out.split())

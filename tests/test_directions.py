"""The arrows between modules, read from the source: params <- pure ones <- dataset <- shared loops <- scripts."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = {"SpatialiseTRAIN", "SpatialiseTEST", "TrainingCNN", "Testing", "Localise"}
PURE = {"hrir", "features", "scene", "rooms", "metrics", "baseline", "plots", "readout", "report"}
ALLOWED = {  # module -> modules of ours that it may import
    "console": set(),
    "params": {"console"},
    **{name: {"console", "params"} for name in PURE},
    "scene": {"console", "params", "features"},
    "baseline": {"console", "params", "features", "hrir"},
    "tracking": {"features"},
    "model": {"console", "params", "readout"},
    "mixing": {"console", "params", "hrir", "rooms", "scene"},
    "dataset": {"console", "params"} | PURE,
    "recordings": {"console", "params", "dataset"} | PURE,
    "spatialise": {"console", "params", "dataset", "mixing", "recordings"} | PURE,
    "remix": {"console", "params", "dataset", "mixing", "recordings", "spatialise"} | PURE,
    "fresh": {"console", "params", "dataset", "mixing"},
    "training": {"console", "params", "dataset", "model"} | PURE,
}
MODULES = {path.stem: path for path in ROOT.glob("*.py")}


def imports_of(path):
    """Every module that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


def test_every_module_has_its_place():
    assert set(MODULES) == set(ALLOWED) | SCRIPTS


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_follow_the_arrows(name):
    ours = imports_of(MODULES[name]) & set(MODULES)
    allowed = ALLOWED.get(name, set(MODULES) - SCRIPTS)  # a script imports modules, never a script
    assert ours <= allowed, f"{name} may not import {sorted(ours - allowed)}"


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"model"}))
def test_only_model_imports_keras(name):
    assert not imports_of(MODULES[name]) & {"keras", "tensorflow"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_imports_tests_or_benchmarks(name):
    assert not imports_of(MODULES[name]) & {"tests", "benchmarks", "tools"}


def test_importing_leaves_tensorflow_alone():
    light = sorted(set(MODULES) - {"model", "training"})
    code = f"import sys, {', '.join(light)}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_scripts_have_the_two_functions(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    functions = {node.name: [a.arg for a in node.args.args] for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions["parse_args"] == ["argv"]
    assert functions["main"] == ["argv"]

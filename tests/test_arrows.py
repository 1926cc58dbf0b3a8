"""The arrows of DESIGN.md, read from the source: console <- params <- features, hrir <- sound <- shards <- scripts."""
import ast
import inspect
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from helpers import ROOT

FOUNDATION = {"console", "params", "features"}
ROOMS = {  # a row a room: whose modules it may import besides its own
    "console": set(),
    "params": {"console"},
    "features": {"console", "params"},
    "hrtf": {"console", "params"},
    "hrir": {"console", "params", "hrtf"},
    "sound": FOUNDATION | {"hrir"},
    "shards": FOUNDATION | {"hrir", "sound"},
    "scores": FOUNDATION,
    "network": FOUNDATION | {"hrir", "scores"},
}
SCRIPTS = {"SpatialiseTRAIN", "SpatialiseTEST", "TrainingCNN", "Testing", "Localise", "tour", "make"}
ABOVE_ALL = {"tools", "benchmarks"}
LOADS_TENSORFLOW = {"network.model", "network.cnn", "network.layers", "network.segmented", "network.original",
                    "network.windowed", "network.backend", "network.devices", "network.training", "network.graph"}
MOST_AT_THE_ROOT = 11


def python_files(root=ROOT):
    """Every module, script, tool and benchmark: dict of dotted name to path."""
    folders = [root / name for name in sorted(ROOMS.keys() | ABOVE_ALL) if (root / name).is_dir()]
    paths = [*root.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


FILES = python_files()
TREES = {name: ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10)) for name, path in FILES.items()}
OF_ROOMS = [name for name in FILES if name.split(".")[0] in ROOMS]


def room_of(name):
    """Name the room, script or folder that a module belongs to."""
    return name.split(".")[0]


def imports_of(tree):
    """Every module that a source imports, anywhere in it; `from a import b` gives both a and a.b."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_every_file_belongs_to_a_room_or_is_a_script():
    assert {room_of(name) for name in FILES} <= ROOMS.keys() | SCRIPTS | ABOVE_ALL
    assert ROOMS.keys() <= {room_of(name) for name in FILES}


def test_at_most_eleven_files_stand_at_the_root():
    assert len(list(ROOT.glob("*.py"))) <= MOST_AT_THE_ROOT


@pytest.mark.parametrize("name", OF_ROOMS)
def test_imports_follow_the_arrows(name):
    ours = {room_of(imported) for imported in imports_of(TREES[name])} & (ROOMS.keys() | SCRIPTS)
    allowed = ROOMS[room_of(name)] | {room_of(name)}
    assert ours <= allowed, f"{name} may not import {sorted(ours - allowed)}"


@pytest.mark.parametrize("name", sorted(SCRIPTS & FILES.keys()))
def test_a_script_imports_no_script(name):
    assert not {room_of(imported) for imported in imports_of(TREES[name])} & SCRIPTS


@pytest.mark.parametrize("name", sorted(set(OF_ROOMS) | SCRIPTS & FILES.keys()))
def test_nothing_imports_tests_tools_or_benchmarks(name):
    assert not {room_of(imported) for imported in imports_of(TREES[name])} & {"tests", "tools", "benchmarks"}


@pytest.mark.parametrize("name", sorted(name for name in FILES if room_of(name) not in {"network"} | ABOVE_ALL))
def test_only_the_network_imports_keras(name):
    assert not {room_of(imported) for imported in imports_of(TREES[name])} & {"keras", "tensorflow"}


def test_importing_all_but_the_networks_leaves_tensorflow_alone():
    light = sorted(set(OF_ROOMS) - LOADS_TENSORFLOW | SCRIPTS - {"tour"})
    code = f"import sys, {', '.join(light)}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("room", sorted(room for room in ROOMS if (ROOT / room).is_dir()))
def test_no_imports_within_a_room_go_in_a_circle(room):
    inside = {name for name in OF_ROOMS if room_of(name) == room and name != room}
    arrows = {name: imports_of(TREES[name]) & inside for name in inside}
    while free := {name for name, needs in arrows.items() if not needs}:  # what imports nothing that is left
        arrows = {name: needs - free for name, needs in arrows.items() if name not in free}
    assert not arrows, f"in a circle, or beyond one: {sorted(arrows)}"


@pytest.mark.parametrize("room", sorted(room for room in ROOMS if (ROOT / room).is_dir()))
def test_a_room_opens_with_what_it_is_for_what_it_imports_and_where_to_begin(room):
    opening = ast.get_docstring(TREES[room]) or ""
    assert "mports " in opening
    assert "Begin with " in opening


@pytest.mark.parametrize("name", sorted((SCRIPTS & FILES.keys()) - {"tour"}))
def test_a_script_has_two_functions(name):
    functions = {node.name: [a.arg for a in node.args.args] for node in TREES[name].body
                 if isinstance(node, ast.FunctionDef)}
    assert functions["parse_args"] == ["argv"]
    assert functions["main"] == ["argv"]


def test_no_two_classes_have_one_name():
    names = Counter(node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_room_has_the_name_of_a_folder_that_a_script_writes():
    written = {"results", "checkpoints", "localised", "binsl_train", "binsl_test"}
    assert not {room_of(name).lower() for name in OF_ROOMS} & (written | {name.lower() for name in SCRIPTS})


# ------------------------------------------------------------------------------------------------------------ protocols

def parameters(function):
    """Names of the parameters of a method or property."""
    function = function.fget if isinstance(function, property) else function
    return list(inspect.signature(function).parameters)


def differences(protocol, implementation):
    """List the methods and properties in which a class differs from a Protocol: its name, kind and parameters."""
    members = {name: member for name, member in vars(protocol).items()
               if not name.startswith("_") and (callable(member) or isinstance(member, property))}
    assert members
    found = []
    for name, member in members.items():
        other = inspect.getattr_static(implementation, name, None)
        if type(other) is not type(member) or parameters(other) != parameters(member):
            found.append(name)
    return found


@pytest.mark.parametrize("name", ["feeds.ShardFeed", "on_the_fly.WavFeed"])
def test_both_feeds_match_the_protocol_of_a_feed(name):
    from network.feed import Feed

    implementation = class_of(name)
    assert differences(Feed, implementation) == []
    assert set(Feed.__annotations__) <= attributes_set_by(implementation)


@pytest.mark.parametrize("name", ["recipe.PairPlan", "recordings.RecordingPlan"])
def test_both_plans_match_the_protocol_of_a_shard_plan(name):
    from shards.plan import ShardPlan

    implementation = class_of(name)
    assert differences(ShardPlan, implementation) == []
    assert set(ShardPlan.__annotations__) <= set(implementation._fields)


def class_of(name):
    """Import a class of shards: "feeds.ShardFeed"."""
    module, name = name.split(".")
    return getattr(__import__(f"shards.{module}", fromlist=[name]), name)


def attributes_set_by(implementation):
    """Names of the attributes that a class's __init__ sets on self."""
    tree = ast.parse(Path(inspect.getfile(implementation)).read_text(encoding="utf-8"))
    body, = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == implementation.__name__)
    return {node.attr for node in ast.walk(body) if isinstance(node, ast.Attribute) and
            isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"}

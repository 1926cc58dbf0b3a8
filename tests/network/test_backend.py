"""What TensorFlow prints at start-up: kept off the screen, wherever there is room for it, and shown where it fails."""
import os
import subprocess
import sys

import pytest
from helpers import ROOT, posix_only

SCRIPT = """
import os, sys, tempfile
sys.path.insert(0, {root!r})
from network.backend import hushed
tempfile.tempdir = "/nowhere"
try:
    with hushed():
        os.write(2, b"noise of a library")
        {then}
except BaseException as problem:
    print(type(problem).__name__)
"""


@posix_only
@pytest.mark.slow
@pytest.mark.parametrize(("then", "is_shown"), [("pass", False), ("raise KeyboardInterrupt", False),
                                                ("raise ImportError", True)])
def test_what_a_library_prints_is_shown_where_it_fails_alone(then, is_shown):
    script = SCRIPT.format(root=str(ROOT), then=then)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                          env={**os.environ, "TMPDIR": "/nowhere"})
    assert ("noise of a library" in done.stderr) == is_shown
    assert done.stdout.split() == then.split()[1:]

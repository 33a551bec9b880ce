"""Importing the package."""

import subprocess
import sys


def test_import_does_not_load_fairseq():
    program = "import sys, biomedgpt_fairseq; sys.exit('fairseq' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0

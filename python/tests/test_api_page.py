"""docs/api.md lists every public item, as it is now."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def test_the_page_of_public_items_is_up_to_date():
    check = [sys.executable, ROOT / "scripts" / "api.py", "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

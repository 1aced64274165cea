"""The command ``vlstore``; ``python -m vlstore`` is the same."""

import sys

from vlstore import _core


def main() -> int:
    """Run the command with the arguments of this process; return its exit status."""
    return _core._command(["vlstore", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())

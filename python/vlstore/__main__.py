"""The command ``vlstore``; ``python -m vlstore`` is the same."""

import signal
import sys

from vlstore import _core


def main() -> int:
    """Run the command with the arguments of this process; return its exit status."""
    if sys.argv[1:2] in (["import"], ["export"]):
        from vlstore._libraries import _command

        status = _command.run(sys.argv[1:])
        if status is not None:
            return status
    if sys.argv[1:2] in (["push"], ["pull"]) and any(word.startswith("hf://") for word in sys.argv[2:]):
        from vlstore._remote import _command

        return _command(sys.argv[1:])
    # The command handles Ctrl-C itself; Python would add a traceback when it is done.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _core._command(["vlstore", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())

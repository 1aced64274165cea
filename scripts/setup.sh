# Brings the tools that a fresh machine lacks. To be sourced, from bash, by the commands of
# the README:
#
#     . scripts/setup.sh build        # to build and run
#     . scripts/setup.sh build test   # to run the tests, too
#     . scripts/setup.sh build torch  # PyTorch, where it can be had
#
# Expected is a C compiler, Rust (by rustup) and Python 3.11 or later with pip. CMake and all
# else comes from Python packages into .venv, again only when a list of them has changed. PyTorch
# is the one that may be missing: its wheel for Linux brings CUDA, 3 GB to fetch and 6 GB of disk,
# so VLSTORE_TORCH=0 leaves it out, and where it cannot be installed its tests say so and are skipped.
# Sets ROOT, enters it, and puts .venv/bin on the PATH. Set VLSTORE_PYTHON to choose another
# python3.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT" || exit 1

setup_fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

setup_tools() {
    local python=${VLSTORE_PYTHON:-python3} cargo_home=${CARGO_HOME:-$HOME/.cargo}

    if ! command -v cargo >/dev/null && [ -x "$cargo_home/bin/cargo" ]; then
        PATH=$cargo_home/bin:$PATH
    fi
    command -v cargo >/dev/null ||
        setup_fail "cargo is missing: install Rust 1.90 or later with rustup (https://rustup.rs)"
    command -v "${CC:-cc}" >/dev/null ||
        setup_fail "a C compiler is missing: install one as 'cc' (Debian: apt install gcc), or name yours in CC"
    command -v "$python" >/dev/null ||
        setup_fail "python3 is missing: install Python 3.11 or later, or name yours in VLSTORE_PYTHON"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        setup_fail "$("$python" --version) is too old: Python 3.11 or later is needed; VLSTORE_PYTHON names another"

    if ! [ -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
        echo "== making .venv"
        "$python" -m venv --clear .venv ||
            setup_fail "cannot make a virtual environment (Debian: apt install python3-venv)"
    fi
    PATH=$ROOT/.venv/bin:$PATH
    export PATH
}

# What to do where the packages of $1 cannot be installed.
setup_missing() {
    local why="cannot install $2: is there a network, a package index that pip knows, and room on the disk?"
    [ "$1" = torch ] || setup_fail "$why"
    printf 'warning: %s The tests of PyTorch are skipped.\n' "$why" >&2
}

# Installs scripts/requirements-$1.txt unless this very list is installed.
setup_requirements() {
    local list=scripts/requirements-$1.txt stamp=.venv/requirements-$1.stamp hash
    [ "$1" != torch ] || [ "${VLSTORE_TORCH:-1}" != 0 ] || return 0
    [ -f "$list" ] || setup_fail "there is no list $list"
    hash=$(python -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$list") ||
        setup_fail "cannot read $list"
    [ "$(cat "$stamp" 2>/dev/null)" != "$hash" ] || return 0
    echo "== installing the tools of $list"
    # Modules are compiled when they are imported: most never are.
    if python -m pip install --quiet --no-compile --disable-pip-version-check -r "$list"; then
        printf '%s\n' "$hash" >"$stamp"
    else
        setup_missing "$1" "$list"
    fi
}

setup_tools
for setup_list in "${@:-build}"; do
    setup_requirements "$setup_list"
done
unset setup_list

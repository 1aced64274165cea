"""Writes docs/api.md: every public item of the library, the Python package and the command line, by room.

    python scripts/api.py           # writes the page
    python scripts/api.py --check   # ends with status 1 if the page is not what would be written

Reads the sources and builds nothing: of a room the items that its `mod.rs` makes public, with the first
sentence of their documentation.
"""

import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "api.md"
ITEM = r"pub (?:const )?(?:unsafe )?(fn|struct|enum|trait|type|const|static)\s+(\w+)"
START = """# Every public item

Made by `python scripts/api.py` and compared by a test: what is added to the public face is seen here.
The documentation of the items stands in the sources: `cargo doc --open` for Rust, `help(vlstore)` in Python,
`vlstore help` on the command line.
"""


def expand(tree):
    """The paths of a `use` tree: `a::{b, c as d}` gives `a::b` and `a::c as d`."""
    tree = tree.strip()
    if "{" not in tree:
        return [tree]
    head, body = tree[: tree.index("{")], tree[tree.index("{") + 1 : tree.rindex("}")]
    parts, depth, part = [], 0, ""
    for sign in body + ",":
        depth += (sign == "{") - (sign == "}")
        if sign == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += sign
    return [path for part in parts if part.strip() for path in expand(head + part.strip())]


def sentence(lines, at):
    """The first sentence of the documentation that ends in the line before `at`."""
    while at > 0 and lines[at - 1].strip().startswith(("#[", "]", ")")):
        at -= 1
    doc = []
    while at > 0 and lines[at - 1].strip().startswith("///"):
        at -= 1
        doc.insert(0, lines[at].strip()[3:].strip())
    text = " ".join(" ".join(doc).split("  ")).strip()
    text = re.split(r"(?<=[.:])\s", text + " ", maxsplit=1)[0].strip()
    text = re.sub(r"\[(`?[^\]]*?`?)\](?:\([^)]*\))?", r"\1", text)
    return text.rstrip(":").replace("|", "\\|")


def found(folder, name):
    """Kind and first sentence of the item `name`, defined in the file or the folder of a room."""
    files = sorted(folder.rglob("*.rs")) if folder.is_dir() else [folder]
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()
        for at, line in enumerate(lines):
            match = re.match(ITEM, line)
            if match and match[2] == name:
                return match[1], sentence(lines, at)
    return None


def room_file(folder, room):
    file = folder / f"{room}.rs"
    return file if file.exists() else folder / room / "mod.rs"


def public(file):
    """Names that a file makes public: defined in it, exported from elsewhere, or rooms of their own."""
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"#\[cfg\([^\]]*testing[^\]]*\)\]\s*(?:#\[[^\]]*\]\s*)*pub (?:mod|use)[^;]*;", "", text)
    text = re.sub(r"//[^\n]*", "", text)
    items = [match[2] for match in re.finditer("^" + ITEM, text, re.MULTILINE)]
    for tree in re.findall(r"^pub use ([^;]+);", text, re.MULTILINE):
        items += [path.split("::")[-1].strip() for path in expand(tree)]
    rooms = re.findall(r"^pub mod (\w+)", text, re.MULTILINE)
    return sorted(set(items), key=lambda text: (text.lower(), text)), rooms


def rust(out):
    library = ROOT / "src"
    exported, rooms = public(library / "lib.rs")
    out += ["", "## Rust", "", "At the root of the crate, beside their rooms:", ""]
    out.append(", ".join(f"`{name.split(' as ')[-1]}`" for name in exported) + ".")
    waiting = [(room, room_file(library, room)) for room in rooms]
    while waiting:
        room, file = waiting.pop(0)
        items, inner = public(file)
        waiting[:0] = [(f"{room}::{name}", room_file(file.parent, name)) for name in inner]
        summary = re.findall(r"^//! ?(.*)", file.read_text(encoding="utf-8"), re.MULTILINE)
        summary = re.split(r"(?<=\.)\s", " ".join(summary).strip() + " ", maxsplit=1)[0]
        out += ["", f"### `{room}`", "", re.sub(r"\[(`[^\]]*`)\](?:\([^)]*\))?", r"\1", summary), ""]
        if items:
            out += ["| item | kind | what it is |", "| --- | --- | --- |"]
        for name in items:
            source, _, shown = name.partition(" as ")
            folder = file.parent if file.name == "mod.rs" else file
            kind, what = found(folder, source) or found(library, source) or ("", "")
            out.append(f"| `{shown or source}` | {kind} | {what} |")


def python(out):
    package = ROOT / "python" / "vlstore"
    out += ["", "## Python", ""]
    for file in sorted(package.rglob("*.py")):
        module = ".".join(file.relative_to(package.parent).with_suffix("").parts)
        module = module.removesuffix(".__init__")
        if any(part.startswith("_") for part in module.split(".")):
            continue
        names = []
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                if isinstance(node.value, ast.List):
                    names = [ast.literal_eval(e) for e in node.value.elts if isinstance(e, ast.Constant)]
        doc = (ast.get_docstring(tree) or "").split("\n")[0]
        if names:
            names = ", ".join(f"`{name}`" for name in sorted(names, key=lambda text: (text.lower(), text)))
            out += [f"* `{module}`: {doc} {names}."]


def page():
    out = [START.rstrip()]
    rust(out)
    python(out)
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    made = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != made:
        sys.exit("error: docs/api.md is not up to date; write it anew with: python scripts/api.py")

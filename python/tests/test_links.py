"""Links between the pages of the repository lead somewhere: to a file, and to a heading in it."""

import pathlib
import re
import subprocess
import unicodedata

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)


def pages():
    """The pages that belong to the repository, not those of an environment inside it."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        listed = [str(p.relative_to(ROOT)) for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))]
    return sorted(name for name in listed if (ROOT / name).exists())


def anchors(text):
    """The anchors of all headings, by the rule of code hosts and of the site."""
    found, text = [], FENCE.sub("", text)
    for title in re.findall(r"^#{1,6} +(.*?) *#*$", text, re.MULTILINE):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").replace("*", "")
        kept = [
            c for c in title.lower() if c in "-_ " or unicodedata.category(c)[0] in ("L", "N")
        ]
        anchor = "".join(kept).replace(" ", "-")
        found.append(anchor)
    # The second heading of one text gets `-1`, the third `-2`.
    return {a if n == 0 else f"{a}-{n}" for i, a in enumerate(found) for n in [found[:i].count(a)]}


def broken(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = (ROOT / page).parent / path if path else ROOT / page
        if not to.exists():
            yield f"{page}: {target}: this file does not exist"
        elif anchor and to.suffix == ".md":
            if anchor not in anchors(to.read_text(encoding="utf-8")):
                yield f"{page}: {target}: the heading does not exist"


def test_there_are_pages_with_links():
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in pages()]
    assert len(texts) > 10
    assert sum(len(LINK.findall(text)) for text in texts) > 40


@pytest.mark.parametrize("page", pages())
def test_every_link_of_a_page_leads_somewhere(page):
    assert list(broken(page)) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path, monkeypatch):
    (tmp_path / "a.md").write_text("# One\n\n[x](#one) [y](b.md) [z](#two) [w](https://x.org)\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert [line.split(": ")[1] for line in broken("a.md")] == ["b.md", "#two"]


GUIDES = ["CONTRIBUTING.md", *(f"docs/adding-a-{what}.md" for what in ("format", "record-codec", "verb", "backend"))]
NAMED = re.compile(
    r"`((?:src|cli|python|tests|docs|scripts|benches|examples|fuzz|models|schemas)/[\w./-]*[\w/])`"
)


@pytest.mark.parametrize("page", GUIDES)
def test_every_file_that_a_guide_names_is_there(page):
    named = NAMED.findall((ROOT / page).read_text(encoding="utf-8"))
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []

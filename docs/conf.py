"""How the documentation site is built: `scripts/docs`."""

import pathlib
import tomllib

ROOT = pathlib.Path(__file__).parents[1]
with (ROOT / "Cargo.toml").open("rb") as manifest:
    release = tomllib.load(manifest)["workspace"]["package"]["version"]

project = "vlstore"
version = release
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["requirements*"]
# A page that is in no list, a link that leads nowhere: the build fails (`-W`).
nitpicky = False

# Headings of these depths get the anchors that links on the pages use, as on a code host.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
suppress_warnings = [
    # The word `codec` in the type of an argument is not a link to one of the attributes of that name.
    "ref.python",
]

autodoc_member_order = "groupwise"
autodoc_typehints = "none"
# Programs with plug-ins here, which are not needed to describe them.
autodoc_mock_imports = ["MDAnalysis", "mdtraj", "openmm", "ray"]
napoleon_google_docstring = False

html_theme = "furo"
html_title = f"vlstore {release}"
html_show_copyright = False
html_show_sphinx = False

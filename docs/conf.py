"""How Sphinx builds the site: Markdown pages, and tutorials that are executed as they build."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext")]
# Cells run in processes of their own, in the tutorials' folder: what they import is this checkout.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(DOCS.parent), os.environ.get("PYTHONPATH")])
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

project = "elsa"
author = "The elsa authors"
copyright = "the elsa authors, Apache-2.0"  # Sphinx asks for this name

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",
    "docstrings",
    "signatures",
]
exclude_patterns = ["_ext", "data"]
highlight_language = "none"  # formulas stand in blocks without a language

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4  # links to headings are those of a forge
nb_execution_mode = "auto"  # a page is executed when it is read: `make docs-test` reads all anew
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 900  # seconds a cell may take, on a busy machine
nb_merge_streams = True
nb_output_stderr = "remove"  # how long a compilation took is no part of a page
nb_number_source_lines = False

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "elsa"
html_context = {"default_mode": "auto"}  # light or dark as the reader's system
html_static_path = ["_static"]
html_css_files = ["elsa.css"]
html_favicon = "_static/icon.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "elsa"},
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}

"""The site: ``python -m sphinx -W --keep-going -b html docs build/site``.

``SKDEC_DOCS=quick`` in the environment runs only the short examples of the gallery and
shows the others as code.  Nothing here asks the network for anything.
"""

import logging
import os
import re
import sys
from pathlib import Path

import matplotlib

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
matplotlib.use("Agg")
# where this machine keeps what it compiles is nothing for the pages
logging.getLogger("skdec").setLevel(logging.ERROR)

import gallery  # noqa: E402

import skdec  # noqa: E402

project = "skdec"
author = copyright = "the skdec developers"
version = release = skdec.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax itself, so that formulas need no network
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "tree_links",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "_ext", "_static", "auto_examples/*.ipynb"]
templates_path = ["_templates"]
nitpicky = False  # types of NumPy and scikit-learn are named, not linked

# Pages in Markdown

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = False
# on a code host these stand in the place of the pages that include them
tree_links = {
    "README.md": "index",
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "benchmarks/README.md": "benchmark_tables",
}

# Formulas: MathJax 3, of the bundle

mathjax3_config = {
    "chtml": {"matchFontHeight": False, "scale": 1.1, "mtextInheritFont": True},
    "options": {"enableMenu": False},
}

# API reference

autosummary_generate = True
# scikit-learn's own methods, named on the page of a class but not described again
autosummary_context = {
    "inherited": [
        "fit_predict",
        "get_feature_names_out",
        "get_metadata_routing",
        "get_params",
        "set_callbacks",
        "set_fit_request",
        "set_inverse_transform_request",
        "set_output",
        "set_params",
        "set_partial_fit_request",
        "set_score_request",
    ]
}
autodoc_typehints = "none"  # the docstrings say what is taken and returned
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Gallery

sphinx_gallery_conf = gallery.configuration(
    quick=os.environ.get("SKDEC_DOCS") == "quick"
)

# Look

html_theme = "pydata_sphinx_theme"
html_title = "skdec"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = "_static/icon.svg"
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
html_sidebars = {"index": []}
html_theme_options = {
    "logo": {
        "image_light": "_static/icon.svg",
        "image_dark": "_static/icon.svg",
        "text": "skdec",
        "alt_text": "skdec",
    },
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def join_continued_lines(app, what, name, thing, options, lines):
    """Join lines that a backslash continues, which raw docstrings keep apart."""
    lines[:] = re.sub(r" \\\n\s*", " ", "\n".join(lines)).split("\n")


def setup(app):
    """Read docstrings before numpydoc does."""
    app.connect("autodoc-process-docstring", join_continued_lines, priority=400)

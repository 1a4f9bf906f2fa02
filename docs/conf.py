"""Sphinx configuration: the pages are Markdown, the API reference comes from the docstrings."""

import sys
from pathlib import Path

# The pages are about this checkout, whatever is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lfp_snn import __version__

project = "lfp-snn"
author = "the lfp-snn developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
html_theme = "furo"
html_title = "lfp-snn"
default_role = "py:obj"
exclude_patterns = ["_build", "api/modules.rst"]

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

apidoc_modules = [
    {
        "path": "../lfp_snn",
        "destination": "api",
        "separate_modules": True,
        "max_depth": 1,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
]
# A name is described where it is defined; the packages that re-export it only list it.
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "member-order": "bysource",
    "ignore-module-all": True,
}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

"""Sphinx configuration: the pages are Markdown, the API reference comes from the docstrings."""

import shutil
import sys
from pathlib import Path

# The pages are about this checkout, whatever is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lfp_snn import __version__

HERE = Path(__file__).resolve().parent
# Sphinx reads what lies below it: the notebooks with their figures, as notebooks/build.py has made them.
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks", ignore=shutil.ignore_patterns("*.py", ".*", "__*"))

project = "lfp-snn"
author = "the lfp-snn developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_nb",
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
nb_execution_mode = "off"  # the tests execute them

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


def _notebooks_here(app, page, source):
    """Links to the notebooks are those of the repository, where they lie beside the pages' folder."""
    source[0] = source[0].replace("](../notebooks/", "](notebooks/" if "/" not in page else "](../notebooks/")


def setup(app):
    """Connect what is done to the pages as they are read."""
    app.connect("source-read", _notebooks_here)

"""Settings of the documentation; `make docs` builds it."""

import importlib.util
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

project = "pyloader"
author = "The pyloader developers"
copyright = "the pyloader developers, MIT license"
release = version = re.search(
    r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M
).group(1)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"pyloader {release}"
html_copy_source = html_show_sourcelink = False

myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3

# In docstrings a name stands between single backticks.
default_role = "literal"
smartquotes = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
# Shown by these names, not as what they stand for.
autodoc_type_aliases = {
    name: name
    for name in ("ArrayLike", "CacheSpec", "DTypeLike", "PreprocessingFunction", "ShardSpec")
}
maximum_signature_line_length = 80
python_use_unqualified_type_names = True

# The reference covers the integrations. It is built with Keras on JAX, as the tests are, and also
# where PyTorch is not installed.
os.environ.setdefault("KERAS_BACKEND", "jax")
autodoc_mock_imports = [] if importlib.util.find_spec("torch") else ["torch"]


_ALIAS = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")


def setup(app):
    """Has attributes' descriptions taken as they are, and aliases shown by name.

    Below an attribute, napoleon would read "what: more of it" as a type and a text.
    """
    plain = {}

    def keep(_app, what, name, _object, _options, lines):
        if what in ("attribute", "property"):
            plain[name] = list(lines)

    def restore(_app, _what, name, _object, _options, lines):
        if name in plain:
            lines[:] = plain.pop(name)

    def shorten(_app, _what, _name, _object, _options, signature, returns):
        return tuple(text and _ALIAS.sub(r"\1", text) for text in (signature, returns))

    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-process-docstring", keep, priority=400)  # napoleon's is 500
    app.connect("autodoc-process-docstring", restore, priority=600)

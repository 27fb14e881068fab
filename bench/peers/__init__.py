"""One file per measured loader; base.py defines a peer."""

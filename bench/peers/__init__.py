"""One file per loader that is measured; base.py says what a peer is."""

"""Scripts written for Keras 2: import paths, old methods, `run`."""

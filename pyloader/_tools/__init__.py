"""The command line: python -m pyloader."""

"""The throughput suite: pyloader and its peers on the same files. See README.md."""

"""Random transforms and normalization: parameters, matrices, statistics."""

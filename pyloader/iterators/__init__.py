"""Batch iterators with Keras' `Iterator` API."""

"""Decoders for image formats other than JPEG. See `_native.other_formats`."""

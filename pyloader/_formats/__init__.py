"""Decoders for image formats other than JPEG. Private; `pyloader.other_formats` is the door."""

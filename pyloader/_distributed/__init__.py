"""Which part of every batch belongs to this process."""

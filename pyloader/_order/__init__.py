"""Which samples come next: order, random stream, checkpoints."""

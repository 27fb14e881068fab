"""What is measured and recorded while batches are delivered."""

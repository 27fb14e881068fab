"""What a dataset consists of: files in folders, tables, labels."""

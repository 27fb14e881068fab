"""How iterators meet the frameworks around them; nothing here imports one by itself."""

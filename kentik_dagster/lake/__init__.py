"""Keeping tables: the only room with deltalake. Does not know aws."""

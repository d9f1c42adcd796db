"""Exports for other programs: SavedModels and `.keras` files, each checked after writing."""

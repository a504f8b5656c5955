"""The roads across rooms: load, export, fold, verify, save."""

"""Runs a graph: one Protocol, one file per runtime."""

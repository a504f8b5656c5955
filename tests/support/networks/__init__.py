"""Networks of the recipes for tests: trained-like, exported once a run, and built into engines."""

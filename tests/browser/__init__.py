"""Pages in headless Chromium, with no network."""

"""The report of a comparison as one HTML file: a file here for each section, and one page."""

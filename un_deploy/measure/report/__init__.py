"""The report of a comparison: as one HTML file, as Markdown, as CSV; or of several over time.

- contents: What a report says: the answer, and all sections there is data for.
- csv_table: Reports as CSV: a row for each ratio at each batch size, and for each A/A control.
- html: Writes a report as one HTML file that needs no other file and no network.
- markdown: A report as Markdown: its sentences and tables, for a merge request or a wiki; no plots.
- over_time: Several reports on one page: how ratios and times went from one to the next.
- page_elements: The elements of a report: the answer, and sections of sentences, plots and tables.
- plot_style: The style of all plots: colours that hold on white and on black, labels, axes.
- sections/: The sections of a report: sentences, plots and tables, whatever they are written as.
"""

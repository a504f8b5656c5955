"""Is it equal, and how fast is it?

- conversion_page: What each LayerNorm of a network costs to lose, as one page: a plot and a
  table.
- own_process: Calls a function in a process of its own, whose memory is free again when it has
  ended.
- wording: Puts figures into plain sentences that claim no more than their intervals carry.
- equality/: Whether two graphs compute the same.
- report/: The report of a comparison: as one HTML file, as Markdown, as CSV; or of several over
  time.
- speed/: How fast the variants of a network are, measured so that the figures can be trusted.
"""

"""What is fitted to data: a scale and a shift for a norm, and the linear layers beside it.

- centre: Takes the mean over channels out of what writes to the stream, where nothing else
  changes.
- fixed_affine: Makes a UnifiedNorm compute a given affine, with the statistics of the data it was
  fitted to.
- least_squares: The affine per channel that comes nearest to a LayerNorm, by least squares.
- linear_neighbours: The linear layers beside a norm: those that read it, and those that write into
  the next one.
- refit: Fits the linear layers beside a converted norm anew, where held-out data says that it
  helps.
- ridge: A linear layer fitted anew in closed form, by ridge regression around its own weights.
"""

"""Draws one random graph of a seed.

- chains: A norm, what it passes, and what takes it in: drawn operator by operator, in both
  directions.
- compose: Puts parts together: one behind the other, side by side, and joined by sums.
- draft: A graph while it is made: its operators, constants, inputs and outputs, and names nobody
  has.
- generate: Makes one random graph of a seed.
- other_changes: Other changes of a draft: what holds its weights and who reads them, its inputs and
  outputs.
- part: A small model that graphs are put together from, and how one is written.
- parts: What graphs are made of: the examples of every rule, blocks in which networks hold norms,
  and what no norm passes.
- refusals/: Small models whose norm stays, one for nearly every reason.
- spelling: Operators as an opset writes them: axes, sizes and factors as attributes or as inputs.
- surround: Puts one of the surroundings behind a tensor of a draft, near a norm more often.
- surroundings: What stands around norms and is none of the fold's business.
"""

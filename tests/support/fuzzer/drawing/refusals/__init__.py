"""Small models whose norm stays, one for nearly every reason: what graphs seldom hold by chance.

- every: All of them, and the integers that they may name.
- of_rules: Where the rule of an operator lets no scale or shift through.
- of_sites: Where an operator is nearly a norm that could vanish, and is none.
- of_solver: Where each operator would agree, and the graph does not.
"""

"""Damages folded models at random places: what a proof must see.

- constants: Damages to what a model's constants hold, or to which of them is read.
- corrupt: Every kind of damage by name, and one damage of a kind at a random place.
- judge: Whether a damage was seen, and its place named.
- networks: Ten networks, folded, for the corruptor: each has what the others lack.
- operators: Damages to what a model's operators are and what they read.
- target: A model about to be damaged: what may be damaged in it, and what is named for it.
- tensors: What is known of a folded model's tensors, and what its constants and bodies are.
"""

"""The two tasks on which norms are compared by training, and docs/which-norm.md.

jobs             every training and judgement that the two protocols name, in their order
queue            runs those that have not ended, one after another
folded_accuracy  whether a trained network's folded graph classifies as PyTorch does
at_start         how large what a norm gives is before the first step
left             what a folded norm leaves in a graph and in TensorRT-RTX's plan
scores           what the logs say, by norm and seed
verdicts         the difference of two norms, paired by seed, and what may be said of it
wording          how figures are written
which_norm       writes the figures of docs/which-norm.md
"""

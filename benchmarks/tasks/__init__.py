"""The two tasks on which norms are compared by training.

jobs             every training and judgement that the two protocols name, in their order
queue            runs those that have not ended, one after another
folded_accuracy  whether a trained network's folded graph classifies as PyTorch does
"""

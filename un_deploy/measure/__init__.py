"""Are two graphs equal? (And, later, how fast?)"""

"""What callers give: whether it is of the right kind, and what it is called in messages.

- check: Holds what a public function is given against its annotations, before it starts.
- exclusive: Arguments that exclude each other, refused from themselves alone: before a file is
  read.
- names: What an argument is called: a parameter in Python, an option on the command line.
"""

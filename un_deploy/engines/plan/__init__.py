"""The plan file and the manifest beside it: written, recognised, loaded.

- header: The first 64 bytes of a plan, enough to refuse what is foreign or cut off.
- load: Loads a plan: what is not of the library that is installed is refused before it is loaded.
- manifest: The manifest beside a plan: where it comes from, what it takes, and how to know it
  again.
"""

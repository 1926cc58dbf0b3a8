"""What reaches the ears: excerpts, scenes, noise fields, rooms, heads and their mixtures, as arrays only.

Imports console, params, features and hrir. Begin with mixing.py.
"""

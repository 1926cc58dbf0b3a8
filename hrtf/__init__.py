"""Measured heads: the one that ships, SOFA files, and the directions in between. Arrays of one set at a time.

Imports console and params alone. Begin with hrir.py at the top, which is what everything else calls.
"""

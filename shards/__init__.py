"""Files in, samples and batches out: the only room that reads and writes audio and npz files.

Imports console, params, features, hrir and sound. Begin with recipe.py.
"""

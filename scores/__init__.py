"""Errors and accuracies, and how they are shown: metrics, pictures, the report of a test.

Imports console alone. Begin with metrics.py; tables.py, plots.py and report.py show what it finds.
textgrid.py writes azimuths over time for Praat.
"""

"""Errors and accuracies, and how they are shown: metrics, pictures, the report of a test, what was heard when.

Imports console alone. Begin with metrics.py; tables.py, plots.py and report.py show what it finds. Of a recording,
exports.py writes tables, labels.py and textgrid.py labels, page.py the page that plays it; markup.py is of all pages.
server.py serves a page to this computer's browsers, recorder.py, that takes a recording and gives that page.
"""

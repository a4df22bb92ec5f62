"""`comparison.html`: the comparison as one page that stands alone, with curves, samples and figures of all runs."""

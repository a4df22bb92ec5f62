"""The units that text is cut into, a file each: the settings and the vocabulary."""

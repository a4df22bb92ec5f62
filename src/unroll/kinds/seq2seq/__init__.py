"""Encoder-decoder models with attention: translation, summarisation."""

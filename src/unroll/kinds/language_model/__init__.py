"""Recurrent language models: p(text) as a product over its tokens, each given all before it."""

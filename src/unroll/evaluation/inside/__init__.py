"""Seeing inside a recurrent language model: gradients, gates, single units, embeddings."""

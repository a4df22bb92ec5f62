"""Captions for images: a convolutional encoder, or features computed elsewhere, and the decoder of pairs."""

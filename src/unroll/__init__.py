"""unroll: recurrent language models and sequence-to-sequence models, stated in params.yaml."""

__version__ = "0.1.0"

"""From corpora to batches: sources, vocabularies, encoded data sets. Nothing here but `batches` needs torch."""

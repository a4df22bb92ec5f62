"""The special tokens and their ids, the same in every vocabulary."""

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")

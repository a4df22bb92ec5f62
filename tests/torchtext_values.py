"""What torchtext itself makes of small texts, taken once and kept in tests/fixtures/torchtext. To take it again:

PYTHONPATH=src python tests/torchtext_values.py vocabularies   # where unroll is installed
PYTHONPATH=src python tests/torchtext_values.py values         # where requirements/torchtext.txt is
"""

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "fixtures" / "torchtext"
VALUES = FOLDER / "values.json"
MAX_LENGTH = 6

TEXTS = [
    "The cat sat.",
    "the cat sat on the mat, and the <unk> <s> sat",
    "Grüße – 東京,\n\tnaïve café ￭ ￮ (a (b)) C++ 😀",
    "a",
]
UNSEEN = ["", " ", "the dog\u2028sat Ω\0 </s> <pad>", "THE CAT", "x  y\r\n"]
FIELDS: dict[str, dict[str, Any]] = {
    "char": {"unit": "char"},
    "char-rare": {"unit": "char", "min_count": 2},
    "word": {"unit": "word"},
    "word-rare": {"unit": "word", "min_count": 2, "lowercase": True},
    "whitespace": {"unit": "word", "tokenizer": "whitespace"},
    "syllable": {"unit": "syllable", "max_words": 5, "max_syllables": 3, "language": "en_US", "min_count": 2},
}


def write_vocabularies(folder: Path) -> None:
    """The vocabulary of each field, as the stage `vocab` writes it."""
    from unroll.text.settings import DatasetSettings
    from unroll.text.vocabulary import build_vocabulary

    for name, field in FIELDS.items():
        settings = DatasetSettings(corpus="tiny", fields={"text": field}, max_length=MAX_LENGTH)
        build_vocabulary(TEXTS, settings.unit("text")).save(folder, name)


def values(name: str) -> dict[str, Any]:
    """What torchtext makes of all texts with the vocabulary `name`."""
    import torchtext

    torchtext.disable_torchtext_deprecation_warning()
    from torchtext.transforms import VocabTransform
    from torchtext.vocab import build_vocab_from_iterator

    from unroll.bridges.torchtext import Tokens, input_transform, read_vocab, row_transform
    from unroll.text.specials import EOS, SPECIALS

    path = FOLDER / f"{name}.json"
    vocab = read_vocab(path)
    found: dict[str, Any] = {"names": vocab.get_itos(), "default": vocab.get_default_index()}
    if FIELDS[name]["unit"] != "syllable":
        found |= {
            "built": build_vocab_from_iterator(
                map(Tokens(path), TEXTS), FIELDS[name].get("min_count", 1), list(SPECIALS)
            ).get_itos(),
            "ids": VocabTransform(vocab)(Tokens(path)(TEXTS + UNSEEN)),
            "rows": row_transform(path, MAX_LENGTH)(TEXTS).tolist(),
            "uncut": row_transform(path, None)(TEXTS).tolist(),
            "inputs": input_transform(path, MAX_LENGTH, EOS)(TEXTS).tolist(),
        }
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["vocabularies"]:
        FOLDER.mkdir(parents=True, exist_ok=True)
        write_vocabularies(FOLDER)
    else:
        lines = [f'"{name}": {json.dumps(values(name))}' for name in FIELDS]
        VALUES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

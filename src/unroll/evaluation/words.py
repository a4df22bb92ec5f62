"""Words as ROUGE and the fluency figures count them, in any script.

rouge-score's own tokenizer keeps ASCII letters and digits alone, so that two equal Cyrillic sentences score 0. This
one agrees with it on ASCII text and extends it to Unicode.
"""

import unicodedata

TOKENIZER = "letters and digits of any script, lowercased, NFC; Han, kana, Thai, Lao, Khmer, Burmese by character"
"""The tokenizer in words, for signatures."""

# Scripts written without spaces: a whole sentence would be one word.
_UNSPACED = ("CJK UNIFIED", "CJK COMPAT", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


class _Table(dict[int, str]):
    """For `str.translate`: a character of a word stays, any other becomes a space. Filled as characters come up."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        inside = character.isalnum() or unicodedata.category(character).startswith("M")
        alone = inside and unicodedata.name(character, "").startswith(_UNSPACED)
        self[code] = f" {character} " if alone else character if inside else " "
        return self[code]


_TABLE = _Table()


def words(text: str) -> list[str]:
    """The words of `text`: runs of letters, digits and the marks upon them, lowercased."""
    return unicodedata.normalize("NFC", text).lower().translate(_TABLE).split()


def language_code(language: str) -> str:
    """The ISO 639-1 code of a language without its region: `zh` of `zh-TW` and `zh_TW`."""
    return language.lower().replace("_", "-").split("-")[0]

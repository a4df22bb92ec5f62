"""How a token is drawn, and text as it comes."""

import numpy as np
import pytest

from unroll.kinds.generation import HALF, Generator, Sampling, draw
from unroll.text.specials import BOS, EOS, PAD, UNK

P = {EOS: 0.1, 4: 0.4, 5: 0.3, 6: 0.15, 7: 0.05}
LOGITS = np.full(8, 9.0)  # the specials that are never drawn would be the likeliest
for token, p in P.items():
    LOGITS[token] = np.log(p)


def shares(sampling: Sampling, draws: int = 4000) -> dict[int, float]:
    random = np.random.default_rng(1)
    drawn = [draw(LOGITS, sampling, random) for _ in range(draws)]
    return {token: drawn.count(token) / draws for token in sorted(set(drawn))}


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), P),
        (Sampling(0.5), {token: p**2 / sum(q**2 for q in P.values()) for token, p in P.items()}),
        (Sampling(top_k=2), {4: 4 / 7, 5: 3 / 7}),
        (Sampling(top_k=1), {4: 1.0}),
        (Sampling(top_p=0.69), {4: 4 / 7, 5: 3 / 7}),
        (Sampling(top_p=0.71), {4: 0.4 / 0.85, 5: 0.3 / 0.85, 6: 0.15 / 0.85}),
        (Sampling(top_p=1e-9), {4: 1.0}),
        (Sampling(top_p=1.0), P),
        (Sampling(top_k=3, top_p=0.5), {4: 4 / 7, 5: 3 / 7}),
        (Sampling(1e-6), {4: 1.0}),
    ],
)
def test_shares_are_those_of_the_distribution(sampling, expected):
    found = shares(sampling)
    assert not {PAD, BOS, UNK} & found.keys()
    assert found.keys() == expected.keys()
    for token, share in expected.items():
        assert found[token] == pytest.approx(share, abs=0.03)


class Bytes:
    """A vocabulary of UTF-8 bytes: a character may be unfinished."""

    unknown = "\n"

    def encode(self, text):
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64)

    def decode(self, ids):
        return bytes(ids).decode(errors="replace")

    def unknown_tokens(self, text):
        return [character for character in text if character in self.unknown]


class Recited(Generator):
    """Writes a given text, whatever the prompt."""

    vocabulary = Bytes()

    def __init__(self, text: bytes, context: str = "text") -> None:
        self.text, self.context = text, context

    def sample(self, prompt, max_tokens, sampling, random):
        self.prompt = prompt.tolist()
        yield from self.text[:max_tokens]


@pytest.mark.parametrize("prompt", ["", "né "])
def test_pieces_are_the_text_and_never_half_a_character(prompt):
    text = "naïve 日本 𝄞!"
    model = Recited(text.encode())
    pieces = list(model.stream(prompt, 100, Sampling(), (1, 0)))
    assert "".join(pieces) == text
    assert len(pieces) == len(text)
    assert model.generate([prompt], max_tokens=100, sampling=Sampling(), seed=1) == [prompt + text]


def test_an_unfinished_character_at_the_end_is_shown_as_what_it_is():
    assert "".join(Recited("aé".encode()).stream("", 2, Sampling(), (1, 0))) == "a" + HALF


def test_a_stream_goes_on_behind_the_end_of_a_text_in_a_new_line():
    text = "é\n\nzwei\n".encode().replace(b"\n", bytes([EOS]))
    model = Recited(text, "stream")
    pieces = list(model.stream("eins\ne", 100, Sampling(), (1, 0)))
    assert pieces == ["é", "\n", "\n", "z", "w", "e", "i", "\n"]
    assert model.prompt == [*b"eins", EOS, *b"e"]
    half = Recited(bytes([0xC3, EOS]) + b"a", "stream")
    assert list(half.stream("", 100, Sampling(), (1, 0))) == [HALF + "\n", "a"]


@pytest.mark.parametrize(("context", "unknown"), [("text", "\n"), ("stream", "")])
def test_a_line_end_in_a_prompt_is_left_to_the_vocabulary_where_texts_are_not_lines(monkeypatch, context, unknown):
    monkeypatch.setattr(Bytes, "unknown", unknown)
    model = Recited(b"a", context)
    assert model.generate(["x\ny"], max_tokens=9, sampling=Sampling(), seed=1) == ["x\nya"]
    assert model.prompt == [*b"x\ny"]

"""What a program does with a finished model: `unroll.load(DIR)`. These names and what they take stay as they are."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from unroll.errors import UserError
from unroll.evaluation.settings import CaptionEvaluation, PairEvaluation
from unroll.exported.decoding import caption_decoding, decoding, finds
from unroll.files import read_json
from unroll.images import read_file
from unroll.kinds import load_model
from unroll.kinds.bundle import INFO
from unroll.kinds.generation import Sampling

Image = Path | str | bytes
"""The path of an image's file, or the bytes of one."""


class _Finished:
    """What all finished models have."""

    def __init__(self, predictor: Any, info: dict[str, Any]) -> None:
        self.predictor = predictor
        self.info = info
        """`bundle.json`: settings, data, licence and costs."""


class TextModel(_Finished):
    """A finished language model."""

    task = "language_model"

    def generate(
        self,
        prompts: str | Sequence[str] = "",
        *,
        length: int = 400,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 1,
    ) -> list[str]:
        """Each prompt with what the model writes behind it, at most `length` tokens.

        A text depends on its prompt, its place among them and the seed alone, as those of `unroll generate` do.
        """
        for name, value, right in (
            ("length", length, length >= 1),
            ("temperature", temperature, 0 < temperature < math.inf),
            ("top_k", top_k, top_k is None or top_k >= 1),
            ("top_p", top_p, top_p is None or 0 < top_p <= 1),
            ("seed", seed, seed >= 0),
        ):
            if not right:
                raise UserError(f"{name} {value}: should be {_RIGHT[name]}")
        sampling = Sampling(temperature, top_k, top_p)
        texts = _texts("prompts", prompts)
        return list(self.predictor.generate(texts, max_tokens=length, sampling=sampling, seed=seed))

    def score(self, texts: str | Sequence[str]) -> list[dict[str, float | int | str]]:
        """The measures of each text by itself: `log_probability` in nats, `perplexity`, `bits_per_char`, ...

        As `unroll score --json` prints them; `bits_per_char` is missing if the unit cannot be undone.
        """
        from unroll.evaluation.language_model import measure

        found = [measure(self.predictor, [text])[0] for text in _texts("texts", texts)]
        return [{"log_probability": -float(measures["nll_nats"]), **measures} for measures in found]


class PairModel(_Finished):
    """A finished encoder-decoder."""

    task = "pairs"

    def translate(self, sources: str | Sequence[str], **options: Any) -> list[str]:
        """The best hypothesis of each source; a blank source gives "".

        `options` are those of `unroll translate` (`beam`, `length_penalty`, `sample`, `temperature`, ...); what none
        says is as in the run's `evaluate`.
        """
        texts = _texts("sources", sources)
        found = self.decode(texts, **options)
        return [several[0].text if text.strip() else "" for text, several in zip(texts, found, strict=True)]

    summarize = translate

    def decode(self, sources: str | Sequence[str], *, nbest: int = 1, **options: Any) -> list[list[Any]]:
        """The best `nbest` hypotheses of each source, best first: `unroll.kinds.seq2seq.predictor.Hypothesis`.

        Raises `UserError` for options that are not right.
        """
        settings = decoding(self.info["settings"]["evaluate"], options)
        _must_find(settings, nbest)
        texts = _texts("sources", sources)
        return [answer.hypotheses for answer in self.predictor.decode_stream(texts, settings, nbest)]


class CaptionModel(_Finished):
    """A finished captioner."""

    task = "captions"

    def caption(self, images: Image | Sequence[Image], **options: Any) -> list[str]:
        """The best caption of each image: a path, or a file's bytes; options as of `decode`."""
        return [several[0].text for several in self.decode(images, **options)]

    def decode(self, images: Image | Sequence[Image], *, nbest: int = 1, **options: Any) -> list[list[Any]]:
        """The best `nbest` captions of each image, best first: `unroll.kinds.seq2seq.predictor.Hypothesis`.

        `options` are those of `unroll caption`: `beam`, `length_penalty`, `min_length`, `max_length`; what none says is
        as in the run's `evaluate`. Raises `UserError` for options that are not right and for what is no image.
        """
        settings = caption_decoding(self.info["settings"]["evaluate"], options)
        _must_find(settings, nbest)
        given = [images] if isinstance(images, str | Path | bytes) else list(images)
        arrays = [self._read(image, number) for number, image in enumerate(given, start=1)]
        found: list[list[Any]] = self.predictor.decode_nbest(arrays, settings, nbest)
        return found

    def _read(self, image: Image, number: int) -> Any:
        if isinstance(image, bytes):
            return self.predictor.read(image, f"image {number}")
        return self.predictor.read(read_file(Path(image)), str(image))


def _must_find(settings: PairEvaluation | CaptionEvaluation, nbest: int) -> None:
    if nbest < 1 or not finds(settings, nbest):
        raise UserError(f"nbest {nbest}: should be 1 to `beam`, {settings.beam}; a larger beam keeps more")


_RIGHT = {
    "length": "1 or more",
    "temperature": "above 0",
    "top_k": "1 or more",
    "top_p": "above 0 and at most 1",
    "seed": "0 or more",
}


MODELS: dict[str, type[TextModel] | type[PairModel] | type[CaptionModel]] = {
    model.task: model for model in (TextModel, PairModel, CaptionModel)
}


def load(folder: Path | str, device: str = "cpu") -> TextModel | PairModel | CaptionModel:
    """The model in the folder of a bundle, exported or below `models/`; checksums are compared if it has them.

    Raises `UserError` naming the part that is missing or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; `unroll export RUN DIR` makes one")
    predictor = load_model(folder, torch.device(device))
    return MODELS[predictor.task](predictor, read_json(folder / INFO))


def _texts(name: str, given: str | Sequence[str]) -> list[str]:
    """Texts that can be read, one of them also without a list."""
    texts = [given] if isinstance(given, str) else list(given)
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise UserError(f"{name}: number {number} is {type(text).__name__}; it should be text")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise UserError(f"{name}: number {number} is not Unicode text: it has half a surrogate pair")
    return texts

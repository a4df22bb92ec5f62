"""What a served model is asked, request by request, and what it answers: everything as JSON."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field, ValidationError

from unroll.exported.models import CaptionModel, PairModel, TextModel
from unroll.mistakes import readable
from unroll.settings import Settings, rule

Answer = dict[str, Any]


class TextRequest(Settings):
    """What a language model is asked: a prompt to go on from, or a text to score."""

    prompt: str | None = None
    """What the model writes on from; "" leaves it free."""
    text: str | None = None
    """A text to be scored by itself, in place of `prompt`."""
    length: int | None = Field(default=None, ge=1, le=10_000)
    """Tokens at most behind the prompt; 400."""
    temperature: float | None = Field(default=None, gt=0)
    """Below 1 likely tokens become likelier; 1."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw among so many likeliest tokens; all."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draw among the likeliest tokens that have this share; all."""
    seed: int | None = Field(default=None, ge=0)
    """The same one writes the same; 1."""

    @rule
    def _one_thing(self) -> Iterator[str]:
        if (self.prompt is None) == (self.text is None):
            yield "state either `prompt`, to have it continued, or `text`, to have it scored"

    @rule
    def _options_are_of_prompts(self) -> Iterator[str]:
        if self.text is not None and self.options():
            yield f"`{next(iter(self.options()))}` belongs to `prompt`"

    def options(self) -> dict[str, Any]:
        """What is stated of how to write."""
        return self.model_dump(exclude={"prompt", "text"}, exclude_none=True)


class PairRequest(Settings):
    """What an encoder-decoder is asked: a source, and how to decode it where that is not as in the run's `evaluate`."""

    source: str
    """What is translated or summarised."""
    nbest: int | None = Field(default=None, ge=1, le=1_000)
    """Hypotheses in the answer, best first; 1."""
    beam: int | None = Field(default=None, ge=1, le=1_000)
    """Hypotheses kept at each step."""
    length_penalty: float | None = Field(default=None, ge=0)
    """Larger favours longer hypotheses."""
    coverage_penalty: float | None = Field(default=None, ge=0)
    """Larger favours looking at all of the source."""
    no_repeat_ngram: int | None = Field(default=None, ge=0)
    """Never say so many tokens in a row twice; 0: it may."""
    min_length: int | None = Field(default=None, ge=0)
    """Tokens at least."""
    max_length: int | None = Field(default=None, ge=1)
    """Tokens at most."""
    replace_unknown: bool | None = None
    """Put source words in place of unknown ones (unit word)."""
    sample: bool | None = None
    """Draw tokens instead of searching for likely ones."""
    temperature: float | None = Field(default=None, gt=0)
    """Of samples."""
    top_k: int | None = Field(default=None, ge=1)
    """Of samples."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Of samples."""
    seed: int | None = Field(default=None, ge=0)
    """Of samples."""

    def options(self) -> dict[str, Any]:
        """What is stated of how to decode."""
        return self.model_dump(exclude={"source"}, exclude_none=True)


class CaptionRequest(Settings):
    """What a captioner is asked: an image, and how to decode where that is not as in the run's `evaluate`."""

    image: str
    """The bytes of a file (PNG, JPEG, GIF, BMP, WEBP; of a model of features .npy) in base64."""
    nbest: int | None = Field(default=None, ge=1, le=1_000)
    """Captions in the answer, best first; 1."""
    beam: int | None = Field(default=None, ge=1, le=1_000)
    """Captions kept at each step."""
    length_penalty: float | None = Field(default=None, ge=0)
    """Larger favours longer captions."""
    min_length: int | None = Field(default=None, ge=0)
    """Tokens at least."""
    max_length: int | None = Field(default=None, ge=1)
    """Tokens at most."""

    @rule
    def _is_base64(self) -> Iterator[str]:
        try:
            base64.b64decode(self.image, validate=True)
        except ValueError:
            yield "`image` should be the bytes of a file in base64"

    def content(self) -> bytes:
        """The bytes of the file."""
        return base64.b64decode(self.image)

    def options(self) -> dict[str, Any]:
        """What is stated of how to decode."""
        return self.model_dump(exclude={"image"}, exclude_none=True)


def problem(request: type[Settings], data: Any) -> str | None:
    """What is wrong with a request, in one sentence for each mistake; None if nothing is."""
    try:
        request.model_validate(data)
    except ValidationError as error:
        return "; ".join(readable(error, request, data, "the request"))
    return None


def answer_texts(model: TextModel, requests: Sequence[TextRequest]) -> list[Answer]:
    """Of a prompt `text` with its continuation, of a text its measures; each as if it had been asked alone."""
    return [
        {"text": model.generate(request.prompt, **request.options())[0]}
        if request.prompt is not None
        else dict(model.score(str(request.text))[0])
        for request in requests
    ]


def answer_pairs(model: PairModel, requests: Sequence[PairRequest]) -> list[Answer]:
    """Of each source the best hypothesis as `text`, and `hypotheses` with scores; each as if it had been asked alone.

    Requests with the same options are decoded together. Raises `UserError` for options that do not go together.
    """
    alike: dict[tuple[tuple[str, Any], ...], list[int]] = {}
    for number, request in enumerate(requests):
        options = request.options()
        # What is drawn for a source depends on its place.
        key = (*sorted(options.items()), *([("number", number)] if "sample" in options or _draws(model) else []))
        alike.setdefault(key, []).append(number)
    answers: dict[int, Answer] = {}
    for numbers in alike.values():
        found = model.decode([requests[n].source for n in numbers], **requests[numbers[0]].options())
        answers |= {n: _answer(requests[n].source, several) for n, several in zip(numbers, found, strict=True)}
    return [answers[n] for n in range(len(requests))]


def answer_captions(model: CaptionModel, requests: Sequence[CaptionRequest]) -> list[Answer]:
    """Of each image the best caption as `text`, and `captions` with scores; each as if it had been asked alone.

    Raises `UserError` for what is no image.
    """
    return [_captions(model.decode([request.content()], **request.options())[0]) for request in requests]


def _captions(several: Sequence[Any]) -> Answer:
    captions = _told(several)
    return {"text": captions[0]["text"], "captions": captions}


def _draws(model: PairModel) -> bool:
    return model.info["settings"]["evaluate"].get("sample") is not None


def _answer(source: str, several: Sequence[Any]) -> Answer:
    hypotheses = _told(several if source.strip() else [])
    return {"text": hypotheses[0]["text"] if hypotheses else "", "hypotheses": hypotheses}


def _told(several: Sequence[Any]) -> list[Answer]:
    """Hypotheses as JSON has them."""
    return [
        {"text": one.text, "score": one.score, "log_probability": one.log_probability, "tokens": one.tokens}
        for one in several
    ]

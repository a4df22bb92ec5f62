"""How a finished encoder-decoder is told to decode: its run's `evaluate`, with single settings put in their place."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from unroll.errors import UserError
from unroll.evaluation.settings import CaptionEvaluation, PairEvaluation
from unroll.mistakes import did_you_mean, readable

Kind = TypeVar("Kind", PairEvaluation, CaptionEvaluation)

# Options that are settings of decoding, and those of its sampling.
LENGTHS = ("length_penalty", "min_length", "max_length")
SETTINGS = ("beam", "coverage_penalty", "no_repeat_ngram", "replace_unknown", *LENGTHS)
SAMPLING = ("temperature", "top_k", "top_p", "seed")


def decoding(stated: Mapping[str, Any], given: Mapping[str, Any]) -> PairEvaluation:
    """The settings `stated` of a run, with those `given` that are not None in their place.

    `given` names settings of decoding, settings of sampling, and `sample`: whether to draw tokens. Raises `UserError`
    for a name or a value that is not right.
    """
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in (*SETTINGS, *SAMPLING, "sample"):
            raise UserError(f"options: there is no `{name}`{did_you_mean(name, (*SETTINGS, *SAMPLING, 'sample'))}")
    merged = {**stated, **{name: value for name, value in given.items() if name in SETTINGS}}
    merged["no_repeat_ngram"] = merged.get("no_repeat_ngram") or None
    draws = {name: value for name, value in given.items() if name in SAMPLING}
    if not given.get("sample", merged.get("sample") is not None):
        merged["sample"] = None
        if draws:
            raise UserError(f"options: `{next(iter(draws))}` belongs to `sample`")
    else:
        merged["sample"] = {**(merged.get("sample") or {}), **draws}
        merged["beam"] = given.get("beam", 1)
    return _checked(PairEvaluation, merged)


def caption_decoding(stated: Mapping[str, Any], given: Mapping[str, Any]) -> CaptionEvaluation:
    """As `decoding`, of a captioner: `given` names settings of its search alone."""
    for name in given:
        if name not in ("beam", *LENGTHS):
            raise UserError(f"options: there is no `{name}`{did_you_mean(name, ('beam', *LENGTHS))}")
    merged = {**stated, **{name: value for name, value in given.items() if value is not None}}
    return _checked(CaptionEvaluation, merged)


def _checked(kind: type[Kind], merged: Mapping[str, Any]) -> Kind:
    try:
        return kind(**merged)
    except ValidationError as error:
        raise UserError(readable(error, kind, merged, "options")) from None


def finds(settings: PairEvaluation | CaptionEvaluation, nbest: int) -> bool:
    """Whether so many hypotheses can be had: a beam finds as many as it keeps, and any number can be drawn."""
    return settings.sample is not None or nbest <= settings.beam

"""Settings of n-gram language models."""

from typing import Literal

from pydantic import Field

from unroll.settings import Settings


class NgramSettings(Settings):
    """`runs.RUN.model` of an n-gram model."""

    kind: Literal["ngram"]
    order: int = Field(ge=1, le=100)
    """Tokens of the longest n-gram: a token is predicted from `order` - 1 before it."""


class NgramTraining(Settings):
    """`runs.RUN.train` of an n-gram model, which is counted: there is nothing to tune."""

    context: Literal["stream", "text"] = "text"
    """`stream`: all texts one after the other, a context reaches into the text before; `text`: each text alone."""

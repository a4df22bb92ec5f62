"""Where text comes from: each source is a module here with `CorpusSettings` and `read(settings) -> Corpus`."""

from importlib import import_module
from types import ModuleType
from typing import Annotated

from pydantic import Tag

from unroll.errors import UserError
from unroll.mistakes import did_you_mean
from unroll.settings import choice
from unroll.text.corpus import Corpus
from unroll.text.sources import docstrings, files, hub, hub_images, images, phrasebook, scenes, url

SOURCES = ("docstrings", "phrasebook", "files", "url", "hub", "scenes", "images", "hub_images")

AnyCorpus = Annotated[
    Annotated[docstrings.CorpusSettings, Tag("docstrings")]
    | Annotated[phrasebook.CorpusSettings, Tag("phrasebook")]
    | Annotated[files.CorpusSettings, Tag("files")]
    | Annotated[url.CorpusSettings, Tag("url")]
    | Annotated[hub.CorpusSettings, Tag("hub")]
    | Annotated[scenes.CorpusSettings, Tag("scenes")]
    | Annotated[images.CorpusSettings, Tag("images")]
    | Annotated[hub_images.CorpusSettings, Tag("hub_images")],
    choice("source", *SOURCES),
]


def load(name: str) -> ModuleType:
    """The module of the source `name`; `UserError` for a name that is none."""
    if name not in SOURCES:
        raise UserError(f"source: '{name}' is unknown{did_you_mean(name, SOURCES)}")
    return import_module(f"{__name__}.{name}")


def read(settings: AnyCorpus) -> Corpus:
    """The corpus that `settings` describe."""
    corpus: Corpus = load(settings.source).read(settings)
    return corpus

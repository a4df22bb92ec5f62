"""Writes docs/params.md, every key of params.yaml, from the settings themselves: python docs/write_params.py"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unroll.evaluation.settings import CaptionEvaluation, LanguageModelEvaluation, PairEvaluation
from unroll.kinds.captioner.settings import CaptionerBatches, CaptionerSettings
from unroll.kinds.language_model.settings import LanguageModelBatches, LanguageModelSettings
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.kinds.seq2seq.settings import Seq2SeqBatches, Seq2SeqSettings
from unroll.nn.device import ComputeSettings
from unroll.params import CombinedPairs, CombinedTexts, TrainedRun
from unroll.settings import Settings, inside
from unroll.text.settings import (
    CharField,
    DatasetSettings,
    FeatureField,
    HybridField,
    PixelField,
    SharedField,
    SubwordField,
    SyllableField,
    WordField,
)
from unroll.text.sources import docstrings, files, hub, hub_images, images, phrasebook, scenes, url
from unroll.training.settings import TrainSettings

PAGE = Path(__file__).parent / "params.md"
DECIDING = ("source", "unit", "kind")  # keys that come first, since others depend on them
WITHOUT_END = 10**9  # a larger bound is there for slips of the finger

HEAD = """\
# params.yaml, key by key

`python docs/write_params.py` writes this page from the settings in the code. A key without a default has to be stated;
an unknown one is refused. `unroll check` tells all mistakes at once. What is in [params.yaml](../params.yaml) is an
example of most of it; a name has letters, digits, - and _, and begins with a letter.
"""

FILES = """\
corpora:
  lines:                # one text a line; a part of them, drawn by hash, validates and tests
    source: files
    path: data/mine
    train: "*.txt"
    split: {valid: 0.05, test: 0.05, by: hash}
  records:              # a column of JSON lines, CSV, TSV or Parquet; gzip as well
    source: files
    path: data/records.jsonl.gz
    columns: [body]
    split: {valid: 0.1, test: 0.1}
  renamed:              # our name: theirs; `a.b` looks inside `a`
    source: files
    path: data/pairs
    train: train.jsonl
    valid: valid.jsonl
    test: test.jsonl
    columns: {en: translation.en, de: translation.de}
  parallel:             # line n of one file belongs to line n of the other
    source: files
    path: data/parallel
    train: {en: train.en, de: train.de}
    valid: {en: valid.en, de: valid.de}
    test: {en: test.en, de: test.de}
  book:                 # paragraphs between blank lines; `rows: file` takes each file as one text
    source: files
    path: data/book.txt
    rows: paragraph
    split: {valid: 0.05, test: 0.05}
"""
URL = """\
corpora:
  archive:              # what is unpacked is read as by `files`
    source: url
    path: params.yaml
    urls:
      corpus.zip:
        url: https://example.org/corpus.zip
        sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855   # as `sha256sum` prints it
    train: "**/train.txt"
    valid: "**/valid.txt"
    test: "**/test.txt"
    licence: CC-BY-4.0
"""
HUB = """\
corpora:
  wikitext:
    source: hub
    path: params.yaml
    dataset: Salesforce/wikitext
    config: wikitext-2-v1
    revision: b08601e04326c79dfdd32d625aee71d232d685c3   # the full commit: names of branches move
  no-parts:             # a data set without validation and test: they are taken from train
    source: hub
    path: params.yaml
    dataset: owner/name
    revision: 5b1d3bc5b1fa4a1d8c8ce1b7c9a1c0c6a7e3f021
    splits: {valid: null, test: null}
    split: {valid: 0.05, test: 0.05, by: hash}
    columns: {source: document, target: summary}
"""
HUB_IMAGES = """\
corpora:
  photographs:
    source: hub_images
    path: params.yaml
    dataset: owner/name
    revision: 5b1d3bc5b1fa4a1d8c8ce1b7c9a1c0c6a7e3f021
    captions: [caption_0, caption_1, caption_2, caption_3, caption_4]
"""
DOCSTRINGS = """\
corpora:
  docs: {source: docstrings, path: requirements/lock.txt, packages: [numpy, scipy], max_size: 3000000}
  summaries: {source: docstrings, path: requirements/lock.txt, packages: [numpy, scipy], fields: [body, summary]}
"""
PHRASEBOOK = """\
corpora:
  phrases: {source: phrasebook, path: src/unroll/text/sources/phrasebook, languages: [en, de], pairs: 30000}
"""
DATASETS = """\
corpora:
  texts: {source: files, path: data/texts, train: a.txt, valid: b.txt, test: c.txt}
  pairs: {source: files, path: data/pairs.csv, columns: [en, de], split: {valid: 0.1, test: 0.1}}
datasets:
  text-char: {corpus: texts, fields: {text: {unit: char}}, max_length: 256}
  en-de:
    corpus: pairs
    fields:
      source: {column: en, unit: subword, max_size: 8000}
      target: {column: de, share: source}      # one vocabulary for both
    max_length: 80
"""

LANGUAGE_MODELS = """\
datasets:
  text-word: {corpus: docs, fields: {text: {unit: word, max_size: 8000, min_count: 2}}, max_length: 256}
runs:
  lstm:                 # state carried from text to text
    dataset: text-word
    init: scratch
    model: {kind: language_model, cell: lstm, embedding: 200, hidden: 400, layers: 2, dropout: 0.3, tied: true}
    train: {context: stream, batch_size: 32, bptt: 35, lr: 0.002, schedule: cosine, clip: 1, epochs: 10}
    evaluate: {samples: 6, temperature: 0.7, prompts: ["", "Return "]}
    seed: 1
  jordan:               # each text alone
    dataset: text-word
    init: scratch
    model: {kind: language_model, cell: jordan, activation: relu, embedding: none, hidden: 200, output: 100}
    train: {context: text, padding: pack, batch_size: 32, lr: 0.001, minutes: 5}
    evaluate: {}
    seed: 1
  tuned:                # goes on from the weights of another run
    dataset: text-word
    init: lstm
    model: {kind: language_model, cell: lstm, embedding: 200, hidden: 400, layers: 2, dropout: 0.5, tied: true}
    train: {context: stream, batch_size: 32, bptt: 35, optimizer: nt-asgd, lr: 5, steps: 10000}
    evaluate: {}
    seed: 1
"""
SEQ2SEQ = """\
runs:
  translator:
    dataset: phrases-en-de
    init: scratch
    model: {kind: seq2seq, cell: lstm, embedding: 128, hidden: 256, attention: additive, past: coverage}
    train: {batch_tokens: 2000, coverage_loss: 1, lr: 0.003, epochs: 9, select: {metric: bleu, language: de}}
    evaluate: {metric: bleu, language: de, beam: 5}
    seed: 1
"""
NGRAM = """\
runs:
  five-gram:
    dataset: docs-char
    init: scratch
    model: {kind: ngram, order: 5}
    train: {context: stream}
    evaluate: {}
    seed: 1
"""

# Title, what is said of it, the settings, an example.
Section = tuple[str, str, type[Settings] | None, str]
SECTIONS: tuple[Section, ...] = (
    ("## corpora.NAME", "Where text comes from, by `source`.", None, ""),
    ("### source: files", "", files.CorpusSettings, FILES),
    ("### source: url", "", url.CorpusSettings, URL),
    ("### source: hub", "", hub.CorpusSettings, HUB),
    ("### source: docstrings", "", docstrings.CorpusSettings, DOCSTRINGS),
    ("### source: phrasebook", "", phrasebook.CorpusSettings, PHRASEBOOK),
    ("### source: scenes", "", scenes.CorpusSettings, ""),
    ("### source: images", "", images.CorpusSettings, ""),
    ("### source: hub_images", "", hub_images.CorpusSettings, HUB_IMAGES),
    ("## datasets.NAME", "", DatasetSettings, DATASETS),
    (
        "## datasets.NAME.fields.FIELD",
        "With `unit`, a vocabulary of its own; with `share`, that of the other field.",
        None,
        "",
    ),
    ("### unit: char", "", CharField, ""),
    ("### unit: word", "", WordField, ""),
    ("### unit: subword", "", SubwordField, ""),
    ("### unit: syllable", "", SyllableField, ""),
    ("### unit: hybrid", "", HybridField, ""),
    ("### unit: pixels", "", PixelField, ""),
    ("### unit: features", "", FeatureField, ""),
    ("### share", "", SharedField, ""),
    (
        "## runs.NAME",
        "A model trained on a dataset; it has `model`, `train` and `evaluate` (which may be `{}`) beside these. "
        "`model.kind` decides which keys they have.",
        TrainedRun,
        "",
    ),
    ("### model, kind: language_model", "", LanguageModelSettings, LANGUAGE_MODELS),
    ("### model, kind: seq2seq", "", Seq2SeqSettings, SEQ2SEQ),
    ("### model, kind: ngram", "", NgramSettings, NGRAM),
    ("### model, kind: captioner", "", CaptionerSettings, ""),
    (
        "### train, kind: language_model, seq2seq and captioner",
        "How weights are updated, and how long.",
        TrainSettings,
        "",
    ),
    ("### train, kind: language_model", "Beside those:", LanguageModelBatches, ""),
    ("### train, kind: seq2seq", "Beside those:", Seq2SeqBatches, ""),
    ("### train, kind: captioner", "Beside those:", CaptionerBatches, ""),
    ("### train, kind: ngram", "Nothing else:", NgramTraining, ""),
    ("### evaluate, kind: language_model and ngram", "", LanguageModelEvaluation, ""),
    ("### evaluate, kind: seq2seq", "", PairEvaluation, ""),
    ("### evaluate, kind: captioner", "", CaptionEvaluation, ""),
    (
        "## combinations.NAME",
        "Finished runs as one: with `metric` in `evaluate` encoder-decoders, else language models.",
        None,
        "",
    ),
    ("### encoder-decoders", "", CombinedPairs, ""),
    ("### language models", "", CombinedTexts, ""),
    ("## compute", "", ComputeSettings, ""),
)


Told = dict[type[Settings], str]
"""Where what is inside other settings has its keys; those of a section of its own have none to be named."""


def page() -> str:
    """The whole page."""
    told: Told = dict.fromkeys([settings for _, _, settings, _ in SECTIONS if settings], "")
    parts = [HEAD]
    for title, words, settings, example in SECTIONS:
        parts.append(f"{title}\n\n{words or _words(settings.__doc__ if settings else '')}\n")
        if settings:
            parts += _tables(settings, title.lstrip("# "), told)
        if example:
            parts.append(f"```yaml\n{example}```\n")
    return "\n".join(parts)


def _tables(settings: type[Settings], title: str, told: Told) -> Iterator[str]:
    """The keys of `settings`, and of what is inside it."""
    yield _table(settings)
    for key, field in settings.model_fields.items():
        for part in inside(field.annotation):
            if part not in told:
                told[part] = title
                yield f"`{key}`: {_words(part.__doc__)}\n"
                yield from _tables(part, title, told)
            elif told[part]:
                anchor = re.sub(r"[^a-z_ -]", "", told[part].lower()).replace(" ", "-")
                yield f"`{key}`: as under [{told[part]}](#{anchor}).\n"


def _table(settings: type[Settings]) -> str:
    schema = settings.model_json_schema()["properties"]
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key in sorted(schema, key=lambda key: key not in DECIDING):
        lines.append(f"| `{key}` | {_value(schema[key])} | {_default(settings, key)} | {_meaning(settings, key)} |")
    return "\n".join(lines) + "\n"


def _meaning(settings: type[Settings], key: str) -> str:
    if key in DECIDING:
        return "decides which keys there are"
    words = _words(settings.model_fields[key].description).replace("|", "\\|")
    owner, values = settings.belonging().get(key, ("", ()))
    if not owner or f"`{owner}: " in words:
        return words
    return f"{words} Only with `{owner}`: {', '.join(f'`{value}`' for value in values)}."


def _default(settings: type[Settings], key: str) -> str:
    field = settings.model_fields[key]
    if field.is_required():
        return ""
    stated = field.default.model_dump(exclude_defaults=True) if isinstance(field.default, Settings) else field.default
    shown = f"{stated:g}" if isinstance(stated, float) else stated if isinstance(stated, str) else json.dumps(stated)
    return f"`{shown}`"


def _value(schema: dict[str, Any]) -> str:
    """What a value may be, in words."""
    if "anyOf" in schema:
        return ", ".join(dict.fromkeys(map(_value, schema["anyOf"])))
    if "$ref" in schema or "oneOf" in schema:
        return "{keys below}"
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema["type"]
    if kind in ("integer", "number"):
        return f"{kind}{_range(schema)}"
    if kind == "array":
        return f"list of {_value(schema['items'])}"
    if kind == "object":
        return f"{{name: {_value(schema['additionalProperties'])}}}"
    return {"string": "text", "boolean": "true, false", "null": "null"}[kind]


def _range(schema: dict[str, Any]) -> str:
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    low, high = schema.get("minimum") if above is None else None, schema.get("maximum")
    high = None if high is not None and high >= WITHOUT_END else high
    bounds = (("from", low), ("above", above), ("to", high), ("below", below))
    words = "".join(f" {word} {bound:,}" for word, bound in bounds if bound is not None)
    return words + (f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else "")


def _words(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

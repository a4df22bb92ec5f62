"""The card of an exported model (Mitchell et al., 2019): what it is, from which data, how good, where it fails."""

import json
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from unroll.evaluation.measures import BY_KEY, COMPARED
from unroll.evaluation.results import Results

KINDS = {
    "language_model": "A recurrent language model",
    "ngram": "An n-gram language model",
    "seq2seq": "An encoder-decoder",
    "captioner": "A captioner of images",
}
BUCKETS = {"by_source_words": "words in the source", "by_unknown_tokens": "unknown tokens in the source"}
FEW = 10  # sentences: a bucket of fewer says little


def model_card(info: Mapping[str, Any], found: Results | None) -> str:
    """The card, in Markdown with the front matter that model hubs read, from a bundle's JSON and the run's results."""
    parts = [*_head(info), *_use(info), *_data(info), *_measures(found), *_failures(info, found), *_settings(info)]
    return "\n".join(parts) + "\n"


def _task(info: Mapping[str, Any]) -> str:
    if "target" not in info["fields"]:
        return "text-generation"
    if "source" not in info["fields"]:
        return "image-to-text"
    return "summarization" if info["settings"]["evaluate"]["metric"] == "rouge" else "translation"


def _head(info: Mapping[str, Any]) -> Iterator[str]:
    yield "---"
    yield "library_name: unroll"
    yield f"pipeline_tag: {_task(info)}"
    yield "license: other"
    yield f"license_name: {json.dumps(info['licence'], ensure_ascii=False)}"
    yield "---"
    yield f"\n# {info['run']}\n"
    cell = info["settings"]["model"].get("cell")
    units = " → ".join(dict.fromkeys(field["unit"] for field in info["fields"].values()))
    named = f" ({cell})" if cell else ""
    kind, count = KINDS[info["kind"]], info["cost"]["parameters"]
    yield f"{kind}{named} over the unit {units}, with {count:,} parameters."


def _use(info: Mapping[str, Any]) -> Iterator[str]:
    task = _task(info)
    call = {
        "text-generation": 'model.generate(["The "], length=100), model.score(["A sentence."])',
        "image-to-text": 'model.caption(["picture.png"])',
        "translation": 'model.translate(["A sentence."], beam=5)',
        "summarization": 'model.summarize(["A text to be summed up."], beam=5)',
    }[task]
    yield f'\n## Use\n\n```python\nimport unroll\nmodel = unroll.load("DIR")\nprint({call})\n```\n'
    yield "`DIR` is this folder. `SHA256SUMS` has the SHA-256 of each file; loading compares them."


def _data(info: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Data\n\n| | |\n|---|---|"
    yield f"| corpus | {info['corpus']} |"
    yield f"| licence of the corpus | {info['licence']} |"
    yield f"| dataset | {info['dataset']} |"
    for name, field in info["fields"].items():
        yield f"| {name} | unit {field['unit']}, vocabulary of {field['size']:,} |"
    yield f"| max_length | {info['max_length']:,} units |"
    if "data_sha256" in info:
        yield f"| SHA-256 of the encoded data | `{info['data_sha256']}` |"
    yield f"| fingerprint of the training | `{info['fingerprint']}` |"


def _measures(found: Results | None) -> Iterator[str]:
    yield "\n## Measures on the test split\n"
    if found is None:
        yield "Not evaluated."
        return
    columns = {"model": found.metrics["test"], **found.metrics.get("baseline", {})}
    intervals = found.metrics.get("interval", {})
    yield f"| | {' | '.join(columns)} | 95% interval |"
    yield f"|---|{'---:|' * (len(columns) + 1)}"
    for key, measure in BY_KEY.items():
        if key not in columns["model"]:
            continue
        figures = [measure.show(column[key]) if key in column else "" for column in columns.values()]
        interval = " to ".join(map(measure.show, intervals[key])) if key in intervals else ""
        yield f"| {measure.label} | {' | '.join([*figures, interval])} |"
    test = found.metrics["test"]
    if "context" in test:
        how = "as one stream" if test["context"] == "stream" else "each by itself"
        yield f"\nOver {test['texts']:,} texts with {test['chars']:,} characters, read {how}."
    for key, signature in found.metrics.get("signature", {}).items():
        yield f"\n{BY_KEY[key].label if key in BY_KEY else key}: `{signature}`"
    costs = found.costs()
    if "seconds" in costs:
        yield f"\nTrained in {costs['seconds']:,.0f} seconds and {costs['steps']:,.0f} updates."


def _failures(info: Mapping[str, Any], found: Results | None) -> Iterator[str]:
    """What was measured to go wrong; nothing is said that was not measured."""
    yield "\n## Where it fails, as measured\n"
    if found is None:
        yield "Not evaluated, so not known."
        return
    test = found.metrics["test"]
    if "oov_rate" in test:
        yield f"- {100 * test['oov_rate']:.2f}% of the tokens of the test split are unknown to its vocabulary."
    for section, name in BUCKETS.items():
        yield from _worst(found.metrics.get(section, {}), name, test)
    repeated = {name: group.get("repetition") for name, group in found.metrics.get("fluency", {}).items()}
    written, real = repeated.get("generated"), repeated.get("real")
    if written is not None and real is not None:
        shares = f"{100 * written:.1f}% of the 4-grams of words; in real text {100 * real:.1f}%"
        yield f"- Of what it writes, it has written before in the same text {shares}."
    for name, figures in found.metrics.get("baseline", {}).items():
        beaten = [key for key in COMPARED if key in figures and key in test and _better(key, figures[key], test[key])]
        if beaten:
            labels = ", ".join(BY_KEY[key].label for key in beaten)
            yield f"- The baseline `{name}`, which needs no training, is better by {labels}."
    if "source" in info["fields"]:
        yield f"- A source longer than {info['max_length']:,} units is cut."
    yield "- Nothing unlike the corpus was measured."


def _worst(buckets: Mapping[str, Mapping[str, float]], name: str, test: Mapping[str, Any]) -> Iterator[str]:
    """The bucket with the worst figure, beside the figure of all."""
    large = {bucket: figures for bucket, figures in buckets.items() if figures["sentences"] >= FEW}
    key = next((key for key in COMPARED if all(key in figures for figures in large.values())), None)
    if len(large) < 2 or key is None:
        return
    measure = BY_KEY[key]
    bucket = (max if measure.better == "lower" else min)(large, key=lambda bucket: large[bucket][key])
    figure, count = measure.show(large[bucket][key]), large[bucket]["sentences"]
    yield (
        f"- Worst by {name}: {bucket.replace('_', ' ')} ({count:,} sentences), {measure.label} {figure}; "
        f"of all {measure.show(test[key])}."
    )


def _better(key: str, figure: float, than: float) -> bool:
    return figure < than if BY_KEY[key].better == "lower" else figure > than


def _settings(info: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Settings\n\nIts entry in `runs` of params.yaml, with all defaults:\n\n```yaml"
    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump({info["run"]: info["settings"]}, text)
    yield text.getvalue() + "```"

"""The score of decoded validation text, by which validations of pairs may be compared."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from unroll.evaluation.pairs import one_line, score_pairs
from unroll.text.batches import Part
from unroll.text.encoded import EncodedDataset
from unroll.text.vocabulary import Vocabulary

NAMES = {"bleu": "bleu", "rouge": "rougeL"}
"""The figure of each metric that it is."""


class PairTask(Protocol):
    """A task whose network makes targets from sources."""

    def decode(self, sources: Sequence[str], vocabularies: Mapping[str, Vocabulary]) -> list[str]:
        """The targets that the network makes as it is."""


class DecodedScore:
    """BLEU or ROUGE-L, 0 to 100, of what a network makes of sources of the validation split."""

    def __init__(
        self,
        task: PairTask,
        data: EncodedDataset,
        vocabularies: Mapping[str, Vocabulary],
        metric: Literal["bleu", "rouge"],
        language: str,
        rows: int | None,
    ) -> None:
        """`rows` pairs, evenly spread over the split; None or more than there are: all."""
        self.task, self.vocabularies, self.metric, self.language = task, vocabularies, metric, language
        self.name = NAMES[metric]
        every = len(data.valid)
        count = min(rows or every, every)
        chosen = [every * n // count for n in range(count)]
        sources, targets = (data.raw_texts("valid", name) for name in ("source", "target"))
        self.sources = [sources[row] for row in chosen]
        self.references = [one_line(targets[row]) for row in chosen]

    def decode(self, part: Part) -> list[str]:
        """What the network as it is, which it leaves in evaluation mode, makes of every so manyth source."""
        return [one_line(text) for text in self.task.decode(self.sources[part.number :: part.of], self.vocabularies)]

    def of(self, parts: Sequence[Sequence[str]]) -> float:
        """Of what the parts have decoded together."""
        hypotheses = [""] * len(self.sources)
        for number, decoded in enumerate(parts):
            hypotheses[number :: len(parts)] = decoded
        scores = score_pairs(self.metric, hypotheses, self.references, self.language, keys=[self.name])
        return scores.corpus[self.name]

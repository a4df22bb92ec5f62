"""JoeyNMT (https://github.com/joeynmt/joeynmt), from a checkout, with the weights of a model of ours.

B batch, S source time, T target time.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn

from bench.models import CPU
from unroll.kinds.seq2seq.settings import Seq2SeqSettings
from unroll.text.batches import Batch
from unroll.text.specials import BOS, EOS, PAD, UNK

Checkout = Annotated[Path | None, typer.Option(help="Checkout of JoeyNMT.", exists=True)]

# Two patches: what it imports at its top and no bench needs. TensorBoard draws curves, subword-nmt splits words.
UNUSED = {"torch.utils.tensorboard": "SummaryWriter", "subword_nmt": "apply_bpe"}


class Ids:
    """As much of its vocabulary as its model asks for: the ids of special tokens, which are those of ours."""

    pad_index, bos_index, eos_index, unk_index, sep_index = PAD, BOS, EOS, UNK, None
    specials: tuple[str, ...] = ()
    lang_tags: tuple[str, ...] = ()

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size


class Joey:
    """Its model, batches and search, as its training and its prediction use them."""

    def __init__(self, checkout: Path, settings: Seq2SeqSettings, source: int, target: int) -> None:
        """`source` and `target` are the sizes of the vocabularies."""
        with _importable(checkout):
            model, batch, search = (import_module(f"joeynmt.{name}") for name in ("model", "batch", "search"))
        self._batch, self._search = batch.Batch, search.search
        self.model = model.build_model(_configuration(settings), Ids(source), Ids(target))
        self.model.loss_function = ("crossentropy", 0.0)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def take_weights(self, network: Any) -> None:
        """The weights of a model of ours that is the same mathematics; the biases that it lacks become zero in ours."""
        layer, attention, encoder = network.decoder.layers[0], network.decoder.attentions[0], network.encoder.layers[0]
        ours: dict[str, Any] = {
            "src_embed.lut": network.source_embedding,
            "trg_embed.lut": network.target_embedding,
            "decoder.rnn": layer.cell.core,
            "decoder.att_vector_layer": network.decoder.combine,
            "decoder.output_layer": network.output.linear,
            "decoder.attention.key_layer": attention.words.keys,
            "decoder.attention.query_layer": attention.words.query,
            "decoder.bridge_layer": network.bridge,
        }
        found = {f"{name}.{part}": value for name, module in ours.items() for part, value in module.named_parameters()}
        found["decoder.attention.energy_layer.weight"] = attention.words.energy.unsqueeze(0)
        for direction, suffix in (("ahead", ""), ("back", "_reverse")):
            core = getattr(encoder, direction).cell.core
            found |= {f"encoder.rnn.{part}{suffix}": value for part, value in core.named_parameters()}
        theirs = dict(self.model.named_parameters())
        with torch.no_grad():
            for name in found.keys() - theirs.keys():
                found[name].zero_()
            for name, parameter in theirs.items():
                parameter.copy_(found[name])

    def batch(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor | None) -> Any:
        """A batch of padded ids, sources with their ends, targets with BOS and their ends."""
        where = torch.arange(len(source_BS))
        batch = self._batch(source_BS, lengths_B, None, target_BT, None, where, CPU, PAD, EOS, target_BT is not None)
        batch.sort_by_src_length()
        return batch

    def step(self, batch: Any) -> None:
        """One step of its training loop."""
        self.model.train()
        loss, _, _, correct = self.model(return_type="loss", **vars(batch))
        loss = batch.normalize(loss, normalization="tokens")
        loss.backward()
        loss.item(), correct.item()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.model.zero_grad()

    def nats(self, batch: Any) -> float:
        """Its loss of a batch, summed, without dropout."""
        self.model.eval()
        with torch.no_grad():
            return float(self.model(return_type="loss", **vars(batch))[0])

    def search(self, batch: Any, beam: int, least: int, most: int, alpha: float) -> "np.ndarray[Any, Any]":
        """The best hypotheses (B, T) of a batch, in its order; a beam of 1 is its greedy search."""
        self.model.eval()
        return self._search(  # type: ignore[no-any-return]
            self.model, batch, most, beam, alpha, min_output_length=least, generate_unk=False
        )[0]


def _configuration(settings: Seq2SeqSettings) -> Mapping[str, Any]:
    """Of a model that is the same as ours."""
    common = {"type": "recurrent", "rnn_type": settings.cell, "num_layers": 1, "dropout": settings.dropout.between}
    embeddings = {"embedding_dim": settings.embedding, "dropout": settings.dropout.input}
    decoder = {
        "hidden_size": settings.hidden,
        "hidden_dropout": settings.dropout.between,
        "input_feeding": settings.input_feeding,
        "init_hidden": "bridge",
        "attention": "bahdanau",
    }
    encoder = {"hidden_size": settings.hidden // 2, "bidirectional": True}
    parts: dict[str, dict[str, Any]] = {"encoder": encoder, "decoder": decoder}
    return {part: {**common, **special, "embeddings": embeddings} for part, special in parts.items()}


def joey_ids(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Sources, their lengths and targets of a batch of ours, as `Joey.batch` takes them."""
    target_BT = batch.ids["target"]
    return (
        batch.ids["source"],
        batch.lengths["source"],
        torch.cat([torch.full_like(target_BT[:, :1], BOS), target_BT], 1),
    )


@contextmanager
def _importable(checkout: Path) -> Iterator[None]:
    """The checkout is where modules are looked for, and `UNUSED` ones are empty."""
    for name, member in UNUSED.items():
        module = ModuleType(name)
        setattr(module, member, None)
        sys.modules.setdefault(name, module)
    sys.path.insert(0, str(checkout))
    try:
        yield
    finally:
        sys.path.remove(str(checkout))
        for name in [name for name in logging.root.manager.loggerDict if name.startswith("joeynmt.")]:
            logging.getLogger(name).setLevel(logging.WARNING)

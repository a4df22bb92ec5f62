"""A bundle: a finished model in a folder that stands alone (weights, JSON, vocabularies)."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unroll.checksums import verify, write_sums
from unroll.errors import UserError
from unroll.files import damaged, read_json, whole_folder, write_json
from unroll.text.vocabulary import Vocabulary, load_vocabularies

WEIGHTS, INFO, VOCABULARIES = "weights.safetensors", "bundle.json", "vocab"


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds, read back."""

    info: dict[str, Any]
    weights: dict[str, Tensor]
    vocabularies: dict[str, Vocabulary]


def write_bundle(folder: Path, info: Mapping[str, Any], weights: Mapping[str, Tensor], vocabularies: Path) -> None:
    """Write a bundle as a whole; `vocabularies` is the folder to copy them from."""
    with whole_folder(folder) as draft:
        try:
            save_file({name: tensor.contiguous() for name, tensor in weights.items()}, draft / WEIGHTS)
        except SafetensorError as error:
            raise _of_the_system(error, folder / WEIGHTS) from error
        shutil.copytree(vocabularies, draft / VOCABULARIES)
        write_json(draft / INFO, dict(info))
        write_sums(draft)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle; raises `UserError` naming the part that is missing or damaged."""
    for part in (INFO, WEIGHTS, VOCABULARIES):
        if not (folder / part).exists():
            raise UserError(f"{folder / part}: not there; a finished run has it: dvc repro")
    verify(folder)
    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise damaged(folder / WEIGHTS, str(error)) from None
    return Bundle(read_json(folder / INFO), weights, load_vocabularies(folder / VOCABULARIES))


def _of_the_system(error: SafetensorError, path: Path) -> Exception:
    """The system's own error where there is one in what safetensors says of it."""
    number = re.search(r"os error (\d+)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1])), str(path)) if number else error


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of every parameter by name, on the CPU; a parameter that two layers share comes once."""
    return {name: p.detach().to("cpu", copy=True) for name, p in network.named_parameters()}


@torch.no_grad()
def put_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set every parameter of `network`; names and shapes must be those of `weights_of` its like."""
    parameters = dict(network.named_parameters())
    if parameters.keys() != weights.keys():
        raise UserError(f"weights do not fit the model: {sorted(parameters.keys() ^ weights.keys())}")
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])

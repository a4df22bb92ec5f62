"""A bundle: a finished model in a folder that stands alone (weights, JSON, vocabularies)."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unroll.checksums import verify, write_sums
from unroll.errors import UserError
from unroll.files import damaged, read_json, whole_folder, write_json
from unroll.kinds.stored_info import StoredInfo
from unroll.settings import Settings
from unroll.stored import checked
from unroll.text.vocabulary import INDEX, Vocabulary, load_vocabularies

WEIGHTS, INFO, VOCABULARIES = "weights.safetensors", "bundle.json", "vocab"
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LISTED = 5  # names in a message

S = TypeVar("S", bound=Settings)
N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds, read back."""

    folder: Path
    info: dict[str, Any]
    weights: dict[str, Tensor]
    vocabularies: dict[str, Vocabulary]

    def model_settings(self, schema: type[S]) -> S:
        """The settings of the model; `UserError` if they are not as `schema` has them."""
        return checked(self.folder / INFO, self.info["settings"]["model"], schema, "settings.model")

    def vocabulary(self, field: str) -> Vocabulary:
        """The vocabulary of a field; `UserError` if there is none."""
        if field not in self.vocabularies:
            raise damaged(self.folder / VOCABULARIES / INDEX, f"it names no vocabulary for the field {field!r}")
        return self.vocabularies[field]

    def network(self, build: Callable[[], N]) -> N:
        """The network that `build` makes, with the bundle's weights; `UserError` if they are not those of its like.

        It is built without memory first: settings that were changed may ask for more than there is.
        """
        try:
            with torch.device("meta"):
                _compare(dict(build().named_parameters()), self.weights)
            network = build()
            put_weights(network, self.weights)
        except (UserError, ValueError, RuntimeError, OverflowError) as error:
            raise damaged(self.folder / WEIGHTS, str(error)) from None
        for name, weights in self.weights.items():
            if not weights.isfinite().all():
                raise damaged(self.folder / WEIGHTS, f"{name} has weights that are no numbers")
        return network


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
    except (SafetensorError, OSError) as error:
        raise damaged(folder / WEIGHTS, str(error)) from None
    info = read_json(folder / INFO)
    checked(folder / INFO, info, StoredInfo)
    return Bundle(folder, info, weights, load_vocabularies(folder / VOCABULARIES))


def _of_the_system(error: SafetensorError, path: Path) -> Exception:
    """The system's own error where there is one in what safetensors says of it."""
    number = re.search(r"os error (\d+)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1])), str(path)) if number else error


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of every parameter by name, on the CPU; a parameter that two layers share comes once."""
    return {name: p.detach().to("cpu", copy=True) for name, p in network.named_parameters()}


@torch.no_grad()
def put_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set every parameter of `network`; raises `UserError` unless they are those of `weights_of` its like."""
    parameters = dict(network.named_parameters())
    _compare(parameters, weights)
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])


def _compare(parameters: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """`UserError` unless names and shapes are the same."""
    if parameters.keys() != weights.keys():
        names = sorted(parameters.keys() ^ weights.keys())
        raise UserError(f"weights do not fit the model: {', '.join(names[:LISTED])}")
    for name, parameter in parameters.items():
        found = weights[name]
        if found.shape != parameter.shape or found.dtype not in FLOATS:
            is_of = f"{tuple(found.shape)}, {found.dtype}, where the model has {tuple(parameter.shape)}"
            raise UserError(f"weights do not fit the model: {name} is {is_of}")

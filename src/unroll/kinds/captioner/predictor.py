"""A finished captioner: from images to captions.

B images, K hypotheses each, S positions of an image, T target time.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unroll.engine import LOCAL, Engine
from unroll.errors import UserError
from unroll.files import damaged
from unroll.kinds.bundle import INFO, Bundle
from unroll.kinds.captioner.network import Captioner
from unroll.kinds.captioner.settings import CaptionDecodeSettings, CaptionerSettings
from unroll.kinds.seq2seq.hypotheses import Found
from unroll.kinds.seq2seq.predictor import Decoding, Hypothesis, batches, random_numbers
from unroll.kinds.seq2seq.search import Sentences, find_hypotheses
from unroll.progress import Tell, silent
from unroll.text.image_encoding import read_array
from unroll.text.settings import FeatureField, PixelField
from unroll.text.vocabulary import Vocabulary

IMAGES = 256  # encoded side by side at most


class CaptionPredictor:
    """Says what images show; an image's caption does not depend on the others."""

    task = "captions"

    def __init__(self, network: Captioner, target: Vocabulary, images: Mapping[str, Any], device: torch.device) -> None:
        self.network = network.eval()
        self.target = target
        self.images = images
        self.device = device

    @property
    def attends(self) -> bool:
        """Whether captions come with where they looked."""
        return self.network.way == "attention"

    def read(self, data: bytes, name: str) -> NDArray[Any]:
        """A file's bytes as the network reads them; `UserError` naming `name` if they are no image, or no features."""
        shape = tuple(self.images["shape"])
        pixels = self.images["unit"] == "pixels"
        field = PixelField(unit="pixels", edge=shape[0]) if pixels else FeatureField(unit="features")
        array = read_array(data, field, name)
        if array.shape != shape:
            raise UserError(f"{name}: features {array.shape}, where the model was trained on {shape}")
        return array

    def decode(
        self,
        images: Sequence[NDArray[Any]],
        settings: CaptionDecodeSettings,
        tell: Tell = silent,
        engine: Engine = LOCAL,
    ) -> list[Hypothesis]:
        """The best caption of each image, in order."""
        return [best for best, *_ in self.decode_nbest(images, settings, 1, tell, engine)]

    def decode_nbest(
        self,
        images: Sequence[NDArray[Any]],
        settings: CaptionDecodeSettings,
        count: int | None = None,
        tell: Tell = silent,
        engine: Engine = LOCAL,
    ) -> list[list[Hypothesis]]:
        """The best `count` captions of each image, the best first; a beam has `settings.beam` at most, the default.

        `tell` is called with how many images are done since the call before; batches are the shards of `engine`.
        """
        count = settings.beam if count is None else count
        positions = self.network.encoder.positions if self.attends else 1
        found: list[list[Hypothesis]] = []
        shards = [
            range(first, min(first + IMAGES, batch.stop))
            for batch in batches([positions] * len(images), max(settings.beam, count), len(self.target))
            for first in range(batch.start, batch.stop, IMAGES)
        ]
        search = partial(self._search, settings=settings, count=count)
        for several in engine.map_shards(search, ({n: images[n] for n in places} for places in shards)):
            found += [[self._readable(one) for one in hypotheses] for hypotheses in several]
            tell(len(several))
        return found

    @torch.inference_mode()
    def _search(
        self, images: Mapping[int, NDArray[Any]], settings: CaptionDecodeSettings, count: int
    ) -> list[list[Found]]:
        """`images` by their places."""
        memory, state = self.network.encode(torch.from_numpy(np.stack([*images.values()])).to(self.device))
        limits_B = torch.full((len(images),), max(settings.min_length, settings.max_length))
        random_BKT = None
        if settings.sample is not None:
            random_BKT = random_numbers(settings.sample.seed, [*images], count, limits_B)
        sentences = Sentences(memory.source.mask_BS, limits_B, random_BKT)
        found = find_hypotheses(Decoding(self.network, memory), state, sentences, settings, count)
        return [[one._replace(weights_TS=one.weights_TS.cpu()) for one in several] for several in found]

    def _readable(self, found: Found) -> Hypothesis:
        weights_TS = found.weights_TS.double().numpy()
        tokens = self.target.tokens(found.tokens)
        text = self.target.decode(found.tokens)
        return Hypothesis(text, found.score, found.log_probability, tokens, weights_TS, found.tokens)


def load(bundle: Bundle, device: torch.device) -> CaptionPredictor:
    """The predictor of a bundle whose kind is `captioner`."""
    target, images = bundle.vocabulary("target"), bundle.info["images"]
    settings = bundle.model_settings(CaptionerSettings)
    pixels, blocks = images["unit"] == "pixels", len(settings.channels or ())
    if pixels != bool(blocks) or (pixels and images["shape"][0] % (1 << blocks)):
        found = f"{blocks} blocks of settings.model.channels do not halve images of {images['unit']}, {images['shape']}"
        raise damaged(bundle.folder / INFO, found)
    network = bundle.network(lambda: Captioner(settings, images, len(target)))
    return CaptionPredictor(network.to(device), target, images, device)

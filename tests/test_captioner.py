"""Captioners: their data, the ways in which an image conditions the decoder, and training and decoding with it."""

import io

import numpy as np
import pytest
import torch
from builders import encoded, image_dataset
from pydantic import ValidationError

from unroll.errors import UserError
from unroll.images import read_image, scaled
from unroll.kinds import load_model
from unroll.kinds.captioner.network import Captioner
from unroll.kinds.captioner.predictor import CaptionPredictor
from unroll.kinds.captioner.settings import CaptionDecodeSettings, CaptionerBatches, CaptionerSettings
from unroll.kinds.captioner.task import Task
from unroll.params import CaptionerRun
from unroll.text.corpus import Corpus, read_cells, write_corpus
from unroll.text.encoded import IMAGE_OF, IMAGES, EncodedDataset
from unroll.text.settings import DatasetSettings
from unroll.text.sources.images import KINDS
from unroll.text.specials import BOS, EOS
from unroll.training.run import train_run

WAYS = ("first-token", "first-input", "initial-state", "attention")
CPU = torch.device("cpu")
GREEDY = CaptionDecodeSettings(beam=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return image_dataset(tmp_path_factory.mktemp("scenes"))


def settings(way: str, **more) -> CaptionerSettings:
    stated = {"kind": "captioner", "image": way, "channels": [4, 8], "cell": "lstm", "embedding": 8, "hidden": 16}
    return CaptionerSettings(**(stated | more))


def task(data: EncodedDataset, way: str, **more) -> Task:
    torch.manual_seed(1)
    return Task(settings(way, **more), CaptionerBatches(batch_size=4), data, CPU)


# --- data ------------------------------------------------------------------------------------------------------------


def test_images_are_stored_once_and_rows_are_captions(data):
    raw = data.folder.parent / "raw"
    images, captions = (list(read_cells(raw, "train", column)) for column in ("image", "captions"))
    assert data.train.images.arrays.shape == (len(images), 24, 24, 3)
    np.testing.assert_array_equal(data.train.images.arrays[3], scaled(read_image(images[3], ""), 24))
    assert data.train.images.of_row.tolist() == [n for n, said in enumerate(captions) for _ in said]
    assert data.raw_texts("train", "target") == [caption for said in captions for caption in said]
    assert len(data.train) == sum(map(len, captions)) == data.manifest["splits"]["train"]["rows"]
    tests = zip(read_cells(raw, "test", "image"), read_cells(raw, "test", "captions"), strict=True)
    assert data.raw_images("test") == list(tests)
    assert data.manifest["images"] == {"unit": "pixels", "shape": [24, 24, 3]}


def test_images_are_scaled_to_the_size_of_the_dataset(tmp_path):
    assert image_dataset(tmp_path, edge=16).valid.images.arrays.shape[1:] == (16, 16, 3)


@pytest.mark.parametrize("name", [IMAGES, IMAGE_OF])
def test_damaged_images_are_told_by_their_file(tmp_path, name):
    folder = image_dataset(tmp_path).folder
    np.save(folder / "train" / name, np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(UserError, match=name):
        EncodedDataset.open(folder)


def feature_dataset(folder, shapes) -> EncodedDataset:
    """A few features of images, of these shapes by their split."""

    def rows():
        dice = np.random.default_rng(1)
        for split, several in shapes.items():
            for n, shape in enumerate(several):
                file = io.BytesIO()
                np.save(file, dice.normal(size=shape))
                yield split, (file.getvalue(), (f"says {n}", f"tells {n}"))

    corpus = Corpus(("image", "captions"), "CC0", "a test", rows(), kinds=KINDS)
    write_corpus(corpus, folder / "raw")
    return encoded(folder, {"image": {"unit": "features"}, "target": {"column": "captions", "unit": "word"}})


def test_features_in_the_place_of_images(tmp_path):
    data = feature_dataset(tmp_path, {split: [(2, 3, 5)] * 3 for split in ("train", "valid", "test")})
    assert data.train.images.arrays.shape == (3, 6, 5)
    for way in WAYS:
        one = task(data, way, channels=None)
        batch = next(one.valid_batches())
        assert torch.isfinite(one.loss(batch, None)[0].nats)


def test_features_of_other_shapes_are_told_by_their_row(tmp_path):
    with pytest.raises(UserError, match="row 2: features"):
        feature_dataset(tmp_path, {"train": [(4, 5), (3, 5)], "valid": [(4, 5)], "test": [(4, 5)]})
    with pytest.raises(UserError, match=r"of valid \(1, 4\)"):
        feature_dataset(tmp_path / "b", {"train": [(5,)], "valid": [(4,)], "test": [(5,)]})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image": {"unit": "word"}, "target": {"unit": "word"}}, "one of pixels, features"),
        ({"image": {"unit": "features"}, "target": {"unit": "features"}}, "one of char"),
        ({"text": {"unit": "features"}}, "one of char"),
        ({"image": {"unit": "features"}}, "`image` and `target`"),
        ({"image": {"unit": "features"}, "target": {"share": "image"}}, "no vocabulary to share"),
    ],
)
def test_fields_that_do_not_go_together(fields, said):
    with pytest.raises(ValidationError, match=said):
        DatasetSettings(corpus="x", fields=fields, max_length=9)


# --- network ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_caption_scores_the_same_alone_and_in_a_batch(data, way, doubles):
    one = task(data, way)
    one.network.eval()
    whole = next(one.valid_batches())
    nats = one.loss(whole, None)[0].nats
    single = Task(settings(way), CaptionerBatches(batch_size=1), data, CPU)
    single.network = one.network
    parts = [single.loss(batch, None)[0].nats for batch in single._batches(data.valid, 1, None)]
    torch.testing.assert_close(torch.stack(parts).sum(), nats)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_depends_on_the_whole_image(data, way):
    """A gradient reaches all of the encoder, and the loss of one caption knows nothing of another image."""
    one = task(data, way)
    batch = next(one.valid_batches())
    loss, _ = one.loss(batch, None)
    loss.nats.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in one.network.encoder.parameters())


@pytest.mark.parametrize("growth", [1e-2, 1.0, 1e5])
@pytest.mark.parametrize("way", ["first-token", "first-input", "initial-state"])
def test_an_encoder_that_grows_does_not_drive_the_decoder_to_its_bounds(data, way, growth):
    """With Adam and thousands of inputs it does grow, and all images looked alike."""
    network = task(data, way).network.eval()
    with torch.no_grad():
        network.encoder.layers[-2].weight.mul_(growth)
        grid = network.encoder(torch.from_numpy(data.valid.images.arrays[:2].copy())).flatten(1)
        given = network.bridge(grid) if way == "initial-state" else network.input(grid)
    torch.testing.assert_close(given.mean(1), torch.zeros(len(given), dtype=given.dtype), atol=1e-6, rtol=0)
    torch.testing.assert_close(given.pow(2).mean(1), torch.ones(len(given), dtype=given.dtype), atol=0.05, rtol=0)


def test_first_token_adds_to_the_first_input_alone(data):
    """Equation 14 of Karpathy and Fei-Fei (2015): the image is seen at t = 1; then through the state."""
    network = task(data, "first-token").network.eval()
    memory, state = network.encode(torch.from_numpy(data.valid.images.arrays[:1].copy()))
    ids = torch.tensor([[BOS, 7, 8]])
    plain = network.target_embedding(ids)
    plain[:, 0] += network.input(network.encoder(torch.from_numpy(data.valid.images.arrays[:1].copy())).flatten(1))
    layer = network.decoder.layers[0]
    wanted = torch.tanh(network.decoder.combine(layer(plain, state.layers[0])[0]))
    torch.testing.assert_close(network.decode(ids, memory, state).read_BTD, wanted)


def test_first_input_is_a_step_of_its_own(data):
    """Equations 10 to 12 of Vinyals et al. (2015)."""
    network = task(data, "first-input").network.eval()
    images = torch.from_numpy(data.valid.images.arrays[:1].copy())
    memory, state = network.encode(images)
    x = network.input(network.encoder(images).flatten(1))
    ids = torch.tensor([[BOS, 7]])
    sequence = torch.cat([x.unsqueeze(1), network.target_embedding(ids)], dim=1)
    layer = network.decoder.layers[0]
    zeros = tuple(torch.zeros(1, 16) for _ in range(2))
    wanted = torch.tanh(network.decoder.combine(layer(sequence, zeros)[0]))[:, 1:]
    torch.testing.assert_close(network.decode(ids, memory, state).read_BTD, wanted)


def test_attention_weights_are_over_the_grid(data):
    network = task(data, "attention", input_feeding=True).network.eval()
    memory, state = network.encode(torch.from_numpy(data.valid.images.arrays[:2].copy()))
    weights = network.force(torch.tensor([[7, 8], [9, EOS]]), memory, state).weights_BTS
    assert weights.shape == (2, 2, 36)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("beam", [1, 3])
def test_what_is_found_has_the_probability_that_the_network_gives_it(data, way, beam):
    one = task(data, way)
    predictor = CaptionPredictor(one.network, data.vocabularies["target"], data.manifest["images"], CPU)
    images = list(data.valid.images.arrays)
    several = predictor.decode(images, CaptionDecodeSettings(beam=beam, max_length=6))
    for image, found in zip(images, several, strict=True):
        memory, state = one.network.encode(torch.from_numpy(image[None].copy()))
        ids = torch.tensor([[*found.ids, EOS]])
        logp = one.network.log_probabilities(one.network.force(ids, memory, state), memory)
        total = logp.gather(-1, ids.unsqueeze(-1)).sum().item()
        assert found.log_probability == pytest.approx(total, rel=1e-4)
    alone = predictor.decode(images[1:2], CaptionDecodeSettings(beam=beam, max_length=6))
    assert alone[0].text == several[1].text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"image": "first-input", "attention": "dot"}, "`attention` belongs to image"),
        ({"image": "initial-state", "input_feeding": True}, "`input_feeding` belongs to image"),
        ({"heads": 2}, "`heads` belongs to attention"),
        ({"attention": "multi-head", "heads": 3}, "multiple of `heads`"),
        ({"hidden": 15}, "multiple of 2"),
    ],
)
def test_contradictions_are_refused(more, said):
    with pytest.raises(ValidationError, match=said):
        settings("attention", **more)


@pytest.mark.parametrize("key", ["max_ratio", "coverage_penalty", "replace_unknown"])
def test_an_image_has_no_tokens(key):
    with pytest.raises(ValidationError, match=f"`{key}` is about the tokens of a source"):
        CaptionDecodeSettings(**{key: True if key == "replace_unknown" else 3.0})


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_what_is_learned_is_of_the_image(data, way):
    """Captions become less likely of another image."""
    one = task(data, way, hidden=32, cell="gru")
    optimizer = torch.optim.Adam(one.network.parameters(), lr=0.01)
    batch = next(one._batches(data.train, 8, None))
    for _ in range(120):
        optimizer.zero_grad()
        one.loss(batch, None)[0].nats.div(8).backward()
        torch.nn.utils.clip_grad_norm_(one.network.parameters(), 1.0)
        optimizer.step()
    own, other = (one.loss(x, None)[0].nats for x in (batch, batch._replace(images=batch.images.roll(1, 0))))
    assert own < 0.6 * other


def run(way: str, **more) -> CaptionerRun:
    train = {"batch_size": 8, "lr": 0.02, "steps": 4, "validate_every": 2}
    model = settings(way, hidden=32, embedding=16).model_dump()
    return CaptionerRun(dataset="tiny", init="scratch", model=model, train=train | more, evaluate={"beam": 1}, seed=1)


@pytest.mark.parametrize("way", WAYS)
def test_the_bundle_of_a_run_stands_alone(data, tmp_path, way):
    train_run(
        "tiny",
        run(way),
        data,
        data.folder.parent / "vocab",
        tmp_path,
        [],
        CPU,
        tmp_path / "m",
        tmp_path,
        tmp_path / "c",
    )
    predictor = load_model(tmp_path / "m", CPU)
    test = predictor.read(data.raw_images("test")[0][0], "x.png")
    assert len(predictor.decode_nbest([test], CaptionDecodeSettings(beam=3))[0]) == 3
    with pytest.raises(UserError, match=r"x\.png: no image"):
        predictor.read(b"none", "x.png")


def test_a_captioner_of_other_features_refuses_them(tmp_path):
    data = feature_dataset(tmp_path, {split: [(4, 5)] * 2 for split in ("train", "valid", "test")})
    network = Captioner(settings("attention", channels=None), data.manifest["images"], 9)
    predictor = CaptionPredictor(network, data.vocabularies["target"], data.manifest["images"], CPU)
    file = io.BytesIO()
    np.save(file, np.zeros((3, 5)))
    with pytest.raises(UserError, match=r"x\.npy: features \(3, 5\)"):
        predictor.read(file.getvalue(), "x.npy")

"""The command caption."""

import io
import json

import pytest
from builders import image_dataset, text_dataset, trained
from PIL import Image

from unroll.errors import UserError
from unroll.params import CaptionerRun, NgramRun


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    model = {"kind": "captioner", "image": "attention", "channels": [4, 8], "cell": "gru", "embedding": 8, "hidden": 16}
    train = {"batch_size": 8, "lr": 0.01, "steps": 4}
    evaluate = {"beam": 3, "min_length": 2, "max_length": 6}
    ngram = {"kind": "ngram", "order": 2}
    runs = {
        "captioner": CaptionerRun(dataset="d", init="scratch", model=model, train=train, evaluate=evaluate, seed=1),
        "2gram": NgramRun(dataset="d", init="scratch", model=ngram, train={}, evaluate={}, seed=1),
    }
    images = image_dataset(folder / "images")
    datasets = {"captioner": images, "2gram": text_dataset(folder / "text", ["a b", "b a"], {"unit": "char"})}
    for name, run in runs.items():
        trained(folder, name, run, datasets[name])
    for n, (data, _) in enumerate(images.raw_images("test")[:2]):
        (folder / f"{n}.png").write_bytes(data)
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:60])
    large = io.BytesIO()
    Image.new("L", (8000, 7000)).save(large, format="PNG")
    (folder / "large.png").write_bytes(large.getvalue())
    (folder / "none.txt").write_text("no image")
    return folder


def test_a_line_an_image(unroll):
    lines = unroll("caption", "captioner", "0.png", "1.png").splitlines()
    assert [line.split("\t")[0] for line in lines] == ["0.png", "1.png"]
    assert all(line.split("\t")[1] for line in lines)
    assert unroll("caption", "captioner", "1.png").splitlines() == lines[1:]


def test_several_captions_with_their_scores(unroll):
    lines = unroll("caption", "captioner", "--nbest", "3", "0.png").splitlines()
    scores = [float(line.split("\t")[1]) for line in lines]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    with pytest.raises(UserError, match="a beam finds as many as it keeps, 3"):
        unroll("caption", "captioner", "--nbest", "4", "0.png")


def test_as_json_with_where_each_word_looked(unroll):
    found = json.loads(unroll("caption", "captioner", "--json", "--max-length", "4", "0.png"))
    (caption,) = found["captions"]
    assert found["image"] == "0.png"
    assert len(caption["alignment"]) == len(caption["tokens"]) <= 4
    assert sum(caption["alignment"][0]) == pytest.approx(1, abs=0.01)


def test_all_images_that_cannot_be_read_are_named_at_once(unroll):
    with pytest.raises(UserError) as refused:
        unroll("caption", "captioner", "0.png", "cut.png", "large.png", "none.txt", "nowhere.png")
    cut, large, text, nowhere = refused.value.problems
    assert cut.startswith("cut.png: a broken or truncated image")
    assert large == "large.png: 8,000 x 7,000 pixels, where 50,000,000 are the most"
    assert text.startswith("none.txt: no image of PNG")
    assert nowhere == "nowhere.png: no such file"


def test_other_kinds_are_told_apart(unroll):
    with pytest.raises(UserError, match="2gram: a ngram reads text; images need a captioner"):
        unroll("caption", "2gram", "0.png")
    with pytest.raises(UserError, match="captioner: a captioner reads images; this needs an encoder-decoder"):
        unroll("translate", "captioner")
    with pytest.raises(UserError, match="captioner: a captioner says what images show; this needs a language model"):
        unroll("generate", "captioner")
    with pytest.raises(UserError, match="captioner: a captioner says what images show, and this reads lines"):
        unroll("evaluate", "captioner", "--data", "none.txt")


def test_options_are_checked_like_settings(unroll):
    with pytest.raises(UserError, match="min_length"):
        unroll("caption", "captioner", "--min-length", "9", "0.png")

"""A person's own images with captions: a folder or tar of images, and a list of captions, as in Flickr8k.

A line of the list is `NAME`, a tab and a caption; what follows a last `#` in the name numbers the captions of an image.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from unroll.errors import UserError
from unroll.images import read_features, read_image
from unroll.settings import PathName, Seed, Settings, rule
from unroll.text.corpus import SPLITS, ColumnKind, Corpus, Row, draw
from unroll.text.sources.files import first_of
from unroll.text.sources.files.readers import lines
from unroll.text.sources.images.store import Store, open_store
from unroll.text.sources.settings import SourceSettings

NUMBER = re.compile(r"#\d+$")


def _below(name: str) -> str:
    if not name or Path(name).is_absolute() or ".." in Path(name).parts or not name.isprintable():
        raise ValueError(f"{name!r} must be a path below `path`")
    return name


Below = Annotated[str, AfterValidator(_below)]
Part = Annotated[float, Field(gt=0, lt=1)]


class PartSettings(Settings):
    """Parts of the images that are drawn for validation and test; the others train."""

    valid: Part
    """Part for validation."""
    test: Part
    """Part for the test."""
    seed: Seed = 1
    """Of the draw, image by image."""

    @rule
    def _leaves_something(self) -> Iterator[str]:
        if self.valid + self.test >= 1:
            yield "valid and test together must be less than 1"

    def of(self, name: str) -> str:
        """The split that the image of this name is drawn for."""
        place = draw(self.seed, name)
        return "test" if place < self.test else "valid" if place < self.test + self.valid else "train"


class CorpusSettings(SourceSettings):
    """Images and what is said of them."""

    images: ClassVar[tuple[str, ...]] = ("image",)

    source: Literal["images"]
    path: PathName
    """The folder that all files lie below. DVC watches it."""
    files: Below
    """The folder or tar of the images."""
    captions: Below
    """The list of captions, as it is or gzipped: NAME, tab, caption; or NAME#0, NAME#1, ... of one image."""
    features: bool = False
    """`files` holds features of the images in their place: for NAME.jpg a NAME.npy of (D,), (P, D) or (H, W, D)."""
    train: Below | None = None
    """A list of names, one a line. Images in no list are left out."""
    valid: Below | None = None
    """The same for validation."""
    test: Below | None = None
    """The same for the test."""
    split: PartSettings | None = None
    """In place of the three lists."""
    skip: bool = False
    """Images that cannot be read, images without a caption and captions without an image are left out, and told;
    false: refused."""
    licence: str = "unknown"
    """Under which images and captions may be used; the data set and every bundle made of it say so."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return "image", "captions"

    @rule
    def _splits_are_stated_once(self) -> Iterator[str]:
        lists = [getattr(self, split) for split in SPLITS]
        if (self.split is not None and any(lists)) or (self.split is None and not all(lists)):
            yield "state which images are for what: lists of names as `train`, `valid` and `test`, or `split` instead"


KINDS: dict[str, ColumnKind] = {"image": "bytes", "captions": "texts"}


def read(settings: CorpusSettings) -> Corpus:
    """Images with their captions; `UserError` at once for files that are not there, later for what they hold."""
    root = Path(settings.path)
    lists = {split: root / name for split in SPLITS if (name := getattr(settings, split)) is not None}
    wanted = [root / settings.files, root / settings.captions, *lists.values()]
    if missing := [path for path in wanted if not path.exists()]:
        raise UserError(f"{path}: no such file or folder" for path in missing)
    return Corpus(
        columns=settings.column_names,
        licence=settings.licence,
        origin=f"images: {settings.path}",
        rows=_rows(settings, root / settings.files, root / settings.captions, lists),
        kinds=KINDS,
    )


def _rows(settings: CorpusSettings, files: Path, captions: Path, lists: Mapping[str, Path]) -> Iterator[Row]:
    said = read_captions(captions)
    with open_store(files) as store:
        there = _file_names(store, said, settings.features)
        splits = _splits(settings, said, there, lists)
        _without_partner(settings, said, there, splits)
        broken: list[str] = []
        for name, split in splits.items():
            if name not in said or name not in there:
                continue
            data = store.read(there[name])
            try:
                where = f"{files}: {there[name]}"
                _ = read_features(data, where) if settings.features else read_image(data, where)
            except UserError as error:
                broken += error.problems
                continue
            yield split, (data, said[name])
    _tell(settings, broken, "cannot be read")


def read_captions(path: Path) -> dict[str, tuple[str, ...]]:
    """The captions of each name in the order of the list; `UserError` naming a line that has no tab or no caption."""
    said: dict[str, list[str]] = {}
    for number, line in enumerate(lines(path), start=1):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        if not tab or not name.strip() or not caption.strip():
            raise UserError(f"{path}:{number}: should be a name, a tab and a caption, found {line!r:.60}")
        said.setdefault(NUMBER.sub("", name.strip()), []).append(" ".join(caption.split()))
    return {name: tuple(captions) for name, captions in said.items()}


def _file_names(store: Store, said: Mapping[str, tuple[str, ...]], features: bool) -> dict[str, str]:
    """The file in the store that each image has: its own name, or with the ending .npy that of its features."""
    if not features:
        return {name: name for name in store.names}
    known = {PurePosixPath(name).with_suffix(".npy").as_posix(): name for name in said}
    return {known.get(name, name): name for name in store.names if name.endswith(".npy")}


def _splits(
    settings: CorpusSettings, said: Mapping[str, object], there: Mapping[str, str], lists: Mapping[str, Path]
) -> dict[str, str]:
    """The split of each image: as the lists have it, or drawn."""
    if settings.split is not None:
        return {name: settings.split.of(name) for name in dict.fromkeys([*said, *there])}
    splits: dict[str, str] = {}
    for split, path in lists.items():
        for name in filter(None, map(str.strip, lines(path))):
            if splits.setdefault(name, split) != split:
                raise UserError(f"{path}: {name} is in {splits[name]}, too; an image belongs to one split")
    return splits


def _without_partner(
    settings: CorpusSettings, said: Mapping[str, object], there: Mapping[str, str], splits: Mapping[str, str]
) -> None:
    """Refuse or tell images of some split that lack captions, and captions that lack an image."""
    _tell(settings, [f"{settings.captions}: {name}" for name in splits if name not in there], "has no image")
    lacking = [f"{settings.files}: {name}" for name in splits if name in there and name not in said]
    _tell(settings, lacking, "has no caption")


def _tell(settings: CorpusSettings, found: list[str], what: str) -> None:
    """`UserError` with the first of those `found`, or with `skip` how many they are on stderr."""
    if not found:
        return
    if not settings.skip:
        named = found if what == "cannot be read" else [f"{name} {what}" for name in found]
        raise UserError([*first_of(named), "mend them, or state `skip: true` to leave them out"])
    print(f"{settings.path}: {len(found):,} left out, first {found[0]}: {what}", file=sys.stderr)

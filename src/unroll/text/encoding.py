"""Encoding a dataset: from a corpus and its vocabularies to what `EncodedDataset` reads.

Everything is written as it is read: memory does not grow with the corpus, spelled words apart, each of which has an id.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from shutil import copyfile
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unroll.checksums import sums_of, verify, write_sums
from unroll.engine import LOCAL, Engine
from unroll.errors import UserError
from unroll.files import read_json, whole_folder, write_json
from unroll.progress import followed
from unroll.text.corpus import PARQUET, SPLITS, row_groups
from unroll.text.encoded import MANIFEST, RAW, SPELLED
from unroll.text.image_encoding import copy_images, encode_images
from unroll.text.report import FieldCounts
from unroll.text.settings import DatasetSettings
from unroll.text.shards import corpus_shards, shard_size
from unroll.text.specials import EOS
from unroll.text.units.hybrid import HybridVocabulary
from unroll.text.vocabulary import EncodedTexts, Vocabulary, load_vocabularies, vocabulary_stems
from unroll.workers import batches

REPORT = "report.json"
WRITTEN_SPLITS = ("train", "valid")  # the test split is evaluated as raw text


def encode_dataset(
    name: str, raw: Path, vocab: Path, settings: DatasetSettings, folder: Path, engine: Engine = LOCAL
) -> None:
    """Encode the corpus in `raw` with the vocabularies in `vocab` as the dataset `name`, whole or not at all.

    `max_length` cuts training rows and every `source`; the ids that it cuts are written, too, and only left out of a
    row's length. Of the test split cuts are counted as a model makes them, which reads its raw text. `engine` encodes.
    Raises `UserError` for a split without rows and for vocabularies that are not those of the dataset's fields.
    """
    verify(raw)
    stems = vocabulary_stems(vocab)
    if stems != settings.owners:
        raise UserError(f"{vocab}: vocabularies {stems}; the dataset's fields need {settings.owners}")
    vocabularies = load_vocabularies(vocab)
    licence = _corpus_facts(raw)["licence"]
    with whole_folder(folder) as part:
        counts = {}
        for split in SPLITS:
            counts[split] = _encode_split(split, raw, vocabularies, settings, part / split, engine)
            if split == WRITTEN_SPLITS[-1]:
                _write_spelled(vocabularies, part)
        write_json(part / REPORT, _report(name, stems, vocabularies, counts))
        fields = {field: _described(vocabulary, stems[field]) for field, vocabulary in vocabularies.items()}
        splits = {
            split: {"rows": next(iter(found.values())).rows, **{f: c.manifest() for f, c in found.items()}}
            for split, found in counts.items()
        }
        manifest = {"dataset": name, "corpus": settings.corpus, "licence": licence}
        manifest |= {"max_length": settings.max_length, "fields": fields, "splits": splits}
        if settings.image is not None:
            manifest["images"] = _encode_images(raw, settings, part)
        written = sums_of(part)
        write_json(part / MANIFEST, {**manifest, "sha256": _hash(written, sums_of(vocab))})
        write_sums(part, written)


def _encode_images(raw: Path, settings: DatasetSettings, folder: Path) -> dict[str, Any]:
    """Write the images of all splits; what the manifest says of them."""
    assert settings.image is not None
    columns = settings.column("image"), settings.column("target")
    shapes = [encode_images(raw, split, *columns, settings.image, folder / split) for split in WRITTEN_SPLITS]
    if shapes[0] != shapes[1]:
        raise UserError(f"{raw}: images of train are {shapes[0]}, of valid {shapes[1]}; all should be of one shape")
    copy_images(raw / "test.parquet", *columns, folder / "test")
    return {"unit": settings.image.unit, "shape": list(shapes[0])}


def _described(vocabulary: Vocabulary, stem: str) -> dict[str, Any]:
    """What the manifest says of a field."""
    found = {"unit": vocabulary.unit, "vocabulary": stem, "size": len(vocabulary)}
    found["sentence_ends"] = vocabulary.sentence_ends()
    return found | {"characters": len(vocabulary.characters)} if isinstance(vocabulary, HybridVocabulary) else found


def _corpus_facts(raw: Path) -> dict[str, Any]:
    if not (raw / "corpus.json").is_file():
        raise UserError(f"{raw / 'corpus.json'}: no such file; fetch the corpus first")
    facts: dict[str, Any] = read_json(raw / "corpus.json")
    return facts


def _encode_split(
    split: str,
    raw: Path,
    vocabularies: dict[str, Vocabulary],
    settings: DatasetSettings,
    folder: Path,
    engine: Engine,
) -> dict[str, FieldCounts]:
    folder.mkdir()
    counts = {}
    for field, vocabulary in vocabularies.items():
        column = settings.column(field)
        shards = [*corpus_shards(raw, split, column, shard_size(engine, row_groups(raw, split, column)))]
        encoded = engine.map_shards(partial(encode_shard, vocabulary), shards)
        encoded = followed(encoded, f"{raw.name}.{split}.{field}: parts encoded", len(shards))
        limit = settings.max_length if split == "train" or field == "source" else None
        stem = folder / field if split in WRITTEN_SPLITS else None
        counts[field] = FieldCounts(vocabulary, single=field == "text")
        _encode_field(chain.from_iterable(encoded), vocabulary, limit, stem, counts[field])
        if not counts[field].rows:
            raise UserError(f"{raw / split}.parquet: no rows; a dataset needs text in every split")
    _copy_raw(raw / f"{split}.parquet", {field: settings.column(field) for field in vocabularies}, folder / RAW)
    return counts


class EncodedBatch(NamedTuple):
    """Some texts of a shard."""

    characters: int
    """How long they are together."""
    encoded: EncodedTexts
    spelled: list[str]
    """The tokens that have no id of their own, in the order in which they first come: the first is encoded as the size
    of the vocabulary, the second as that and one."""


def encode_shard(vocabulary: Vocabulary, texts: Iterable[str]) -> list[EncodedBatch]:
    """The texts of a shard as any process encodes them, whatever it has met before."""
    return [_encode_batch(vocabulary, batch) for batch in batches(texts)]


def _encode_batch(vocabulary: Vocabulary, texts: Sequence[str]) -> EncodedBatch:
    encoded, spelled = vocabulary.encode_counted(texts), []
    ids = encoded.ids
    if isinstance(vocabulary, HybridVocabulary):
        is_open = ids >= len(vocabulary)
        tokens, first, inverse = np.unique(ids[is_open], return_index=True, return_inverse=True)
        order = np.argsort(first)
        spelled = [vocabulary.token(n) for n in tokens[order].tolist()]
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order))
        ids = ids.copy()
        ids[is_open] = len(vocabulary) + places[inverse]
    return EncodedBatch(sum(map(len, texts)), encoded._replace(ids=ids.astype(_id_type(vocabulary))), spelled)


def _with_open_ids(vocabulary: Vocabulary, batch: EncodedBatch) -> EncodedTexts:
    """A batch with the ids that this process has given, or now gives, to the tokens that have none of their own."""
    if not isinstance(vocabulary, HybridVocabulary):
        return batch.encoded
    given = np.array([vocabulary.id_of(token) for token in batch.spelled], dtype=np.int64)
    ids = batch.encoded.ids.astype(np.int64)
    is_open = ids >= len(vocabulary)
    ids[is_open] = given[ids[is_open] - len(vocabulary)]
    return batch.encoded._replace(ids=ids)


def _id_type(vocabulary: Vocabulary) -> type[np.unsignedinteger[Any]]:
    closed = not isinstance(vocabulary, HybridVocabulary)
    return np.uint16 if closed and len(vocabulary) <= 1 << 16 else np.uint32


def _encode_field(
    batches: Iterable[EncodedBatch], vocabulary: Vocabulary, limit: int | None, stem: Path | None, counts: FieldCounts
) -> None:
    """Add `batches` to `counts`; with a `stem`, write them as the files of an `EncodedField`."""
    with ExitStack() as stack:
        files = _FieldFiles(stem, _id_type(vocabulary), stack) if stem else None
        for batch in batches:
            encoded = _with_open_ids(vocabulary, batch)
            kept = encoded.lengths + 1 if limit is None else np.minimum(encoded.lengths, limit) + 1
            counts.add(batch.characters, encoded, kept)
            if files:
                files.add(encoded.ids, encoded.lengths, kept)


def _write_spelled(vocabularies: dict[str, Vocabulary], folder: Path) -> None:
    """How the tokens with open ids that have been met so far are spelled, as `EncodedDataset` reads it."""
    for field, vocabulary in vocabularies.items():
        if isinstance(vocabulary, HybridVocabulary):
            characters, lengths = vocabulary.characters.encode_many(vocabulary.spelled)
            np.save(folder / f"{field}{SPELLED}.npy", characters.astype("<u4"))
            np.save(folder / f"{field}{SPELLED}.offsets.npy", np.append(0, np.cumsum(lengths)).astype("<i8"))


class _FieldFiles:
    """The three files of an `EncodedField` while they are written."""

    def __init__(self, stem: Path, id_type: type[np.unsignedinteger[Any]], stack: ExitStack) -> None:
        self._ids, self._offsets, self._lengths = (
            stack.enter_context(GrowingArray(stem.with_name(f"{stem.name}{suffix}.npy"), kind))
            for suffix, kind in (("", id_type), (".offsets", np.int64), (".lengths", np.int32))
        )
        self._offsets.append(np.zeros(1, dtype=np.int64))

    def add(self, ids: NDArray[np.integer[Any]], lengths: NDArray[np.int64], kept: NDArray[np.int64]) -> None:
        """Write rows: their ids, to which EOS is added, how many each has, how many with EOS are kept."""
        ends = np.cumsum(lengths)
        self._offsets.append(self._ids.length + ends + np.arange(1, len(ends) + 1))
        self._ids.append(np.insert(ids, ends, EOS))
        self._lengths.append(kept)


class GrowingArray:
    """A one-dimensional .npy file that is written piece by piece."""

    def __init__(self, path: Path, kind: type[np.integer[Any]]) -> None:
        self._file = path.open("wb")
        self._type = np.dtype(kind).newbyteorder("<")
        self.length = 0
        self._write_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is not None:
                return
            end = self._file.tell()
            self._file.seek(0)
            self._write_header()
            assert self._file.tell() + self.length * self._type.itemsize == end

    def append(self, values: NDArray[np.integer[Any]]) -> None:
        """Write `values` (n,) behind what is there."""
        self._file.write(values.astype(self._type).tobytes())
        self.length += len(values)

    def _write_header(self) -> None:
        # numpy pads headers so that the first dimension may grow to any length in place.
        header = {"descr": self._type.str, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._file, header)


def _copy_raw(source: Path, columns: dict[str, str], path: Path) -> None:
    """Copy columns of a Parquet file under their field's names."""
    schema = pa.schema([pa.field(field, pa.string(), nullable=False) for field in columns])
    with pq.ParquetFile(source) as file:
        if file.schema_arrow == schema and all(field == name for field, name in columns.items()):
            copyfile(source, path)
            return
        with pq.ParquetWriter(path, schema, **PARQUET) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=sorted(set(columns.values())))
                writer.write_table(pa.table([_flat(table.column(name)) for name in columns.values()], schema=schema))


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A row a text, also where a row has several."""
    return pc.list_flatten(column) if pa.types.is_list(column.type) else column


def _report(
    name: str,
    stems: dict[str, str],
    vocabularies: dict[str, Vocabulary],
    counts: dict[str, dict[str, FieldCounts]],
) -> dict[str, Any]:
    fields = {
        field: {
            "unit": vocabulary.unit,
            "vocabulary": stems[field],
            "size": len(vocabulary),
            "splits": {split: counts[split][field].report() for split in SPLITS},
            "train_lengths": counts["train"][field].histogram(),
        }
        for field, vocabulary in vocabularies.items()
    }
    return {"dataset": name, "fields": fields}


def _hash(*folders: Mapping[Path, str]) -> str:
    """One hash over the names and sums of all files but the report, which is about the data and none of it."""
    lines = [
        f"{path.as_posix()} {digest}\n" for sums in folders for path, digest in sums.items() if path.name != REPORT
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()

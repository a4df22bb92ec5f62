"""What DVC leaves when it is killed while it writes: files of its own that it does not read again."""

import configparser
import json
import sys
from pathlib import Path

HELD, KNOWN = Path(".dvc/tmp/rwlock"), Path("dvc.lock")


def mended() -> bool:
    """Whether a file was damaged that DVC can do without, and was put aside."""
    return bool(_mend_held() + _mend_known())


def mend_run_cache() -> None:
    """Remove entries without content from DVC's cache of runs: DVC stops at them, killed before it filled them."""
    for folder in _cache().glob("runs/*/*"):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            print(f"{folder}: empty, as after a DVC that was killed before it filled it; removed", file=sys.stderr)


def _cache() -> Path:
    """The folder of DVC's cache, as its configuration says."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read([Path(".dvc/config"), Path(".dvc/config.local")], encoding="utf-8")
    return Path(".dvc", config.get("cache", "dir", fallback="cache"))


def _mend_held() -> int:
    """The list of what running commands read and write."""
    try:
        json.loads(HELD.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0
    except ValueError:
        HELD.unlink()
        print(f"{HELD}: damaged, as after a DVC that was killed while it wrote it; removed", file=sys.stderr)
        return 1
    return 0


def _mend_known() -> int:
    """The list of what each stage was run with: its outputs are found in DVC's cache without it."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(KNOWN.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return 0
    except (YAMLError, ValueError, Invalid):
        aside = KNOWN.replace(f"{KNOWN}.damaged")
        print(
            f"{KNOWN}: damaged, as after a DVC that was killed while it wrote it; it is {aside} now, and DVC looks for "
            "what is done in its cache",
            file=sys.stderr,
        )
        return 1
    return 0

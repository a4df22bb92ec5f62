"""What DVC leaves when it is killed while it writes: files of its own that it does not read again."""

import json
import sys
from pathlib import Path

HELD, KNOWN = Path(".dvc/tmp/rwlock"), Path("dvc.lock")


def mended() -> bool:
    """Whether a file was damaged that DVC can do without, and was put aside."""
    return bool(_mend_held() + _mend_known())


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

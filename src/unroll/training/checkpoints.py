"""Checkpoints: all that training needs to go on as if it had never stopped."""

import hashlib
import io
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from unroll.files import whole_file

KEPT = 2  # the last one, and the one before, should the last be damaged


class Checkpoints:
    """States of one training in a folder of its own, each under its step and the hash of its bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write a state whole; older ones but the last before it go."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        digest = hashlib.sha256(buffer.getbuffer()).hexdigest()[:16]
        path = self.folder / f"{step:010d}.{digest}.pt"
        with whole_file(path, "wb") as file:
            file.write(buffer.getbuffer())
        for old in self._files()[KEPT:]:
            old.unlink()

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """The last whole state; None if there is none. A damaged one is named on stderr and left out."""
        for path in self._files():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest()[:16] == path.name.split(".")[1]:
                state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
                return state
            print(f"{path}: damaged, its bytes are not those that were written; not used", file=sys.stderr)
        return None

    def clear(self) -> None:
        """Remove all states."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        """States, the last step first; of equal steps the one written last."""
        found = self.folder.glob("*.*.pt")
        return sorted(found, key=lambda path: (path.name.split(".")[0], path.stat().st_mtime_ns), reverse=True)

"""`make audit`: what pip-audit found out, and what it did not, are told apart."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
WELL: dict[str, Any] = {"name": "numpy", "version": "2.0", "vulns": []}
KNOWN = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.1"], "description": "x"}
BAD = {"name": "torch", "version": "2.0", "vulns": [KNOWN]}
SKIPPED = {"name": "mlflow", "skip_reason": "Dependency not found on PyPI and could not be audited: mlflow (3.17.2)"}


@pytest.mark.parametrize(
    ("printed", "code", "told"),
    [
        (json.dumps({"dependencies": [WELL, WELL]}), 0, "lock.txt: 2 packages looked up, 0 with known vulnerab"),
        (json.dumps({"dependencies": [WELL, BAD]}), 1, "torch 2.0: PYSEC-2026-1, CVE-2026-1; mended in 2.1"),
        (
            json.dumps({"dependencies": [WELL, SKIPPED]}),
            2,
            "error: 1 of 2 packages could not be looked up, first ml",
        ),
        (json.dumps({"dependencies": [BAD, SKIPPED]}), 2, "torch 2.0: PYSEC-2026-1"),
        (json.dumps({"dependencies": []}), 2, "error: 0 of 0 packages could not be looked up"),
        ("", 2, "error: pip-audit gave no answer; it said: ConnectionError: pypi.org"),
    ],
)
def test_what_is_not_known_is_no_success(tmp_path, printed, code, told):
    """pip-audit itself ends with 0 where no package could be looked up."""
    (tmp_path / "printed").write_text(printed)
    program = tmp_path / "pip-audit"
    program.write_text(f'#!/bin/sh\ncat "{tmp_path}/printed"\necho "ConnectionError: pypi.org" >&2\n')
    program.chmod(0o755)
    call = [sys.executable, str(ROOT / "requirements" / "audit.py"), str(program)]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == code
    assert told in done.stdout + done.stderr

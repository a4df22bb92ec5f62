"""Asks for known vulnerabilities of the packages of lock.txt: `make audit`.

Exit code 0: all were looked up and nothing is known; 1: something is known; 2: it could not be found out.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).with_name("lock.txt")
# As they are listed, and nothing installed or resolved on the way.
OPTIONS = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--requirement", str(LOCK)]


def main(program: str) -> int:
    """Run pip-audit, found at `program`, and say what came of it."""
    done = subprocess.run([program, *OPTIONS], capture_output=True, text=True)  # noqa: S603
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines() or ["nothing"]
        return _unknown(f"pip-audit gave no answer; it said: {said[-1]}")
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        for found in package["vulns"]:
            print(f"{package['name']} {package['version']}: {_told(found)}")
    skipped = [package for package in packages if "skip_reason" in package]
    if skipped or not packages:
        first = f", first {skipped[0]['name']}: {skipped[0]['skip_reason']}" if skipped else ""
        return _unknown(f"{len(skipped)} of {len(packages)} packages could not be looked up{first}")
    print(f"{LOCK.name}: {len(packages)} packages looked up, {len(vulnerable)} with known vulnerabilities")
    return 1 if vulnerable else 0


def _told(found: dict[str, Any]) -> str:
    names = ", ".join([found["id"], *found.get("aliases", [])])
    mended = ", ".join(found.get("fix_versions", [])) or "no version yet"
    return f"{names}; mended in {mended}"


def _unknown(why: str) -> int:
    print(
        f"error: {why}; the audit needs the database at pypi.org, and without it nothing is known of these packages",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))

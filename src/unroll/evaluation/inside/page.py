"""Pages of HTML that stand alone: no script, nothing loaded, whatever the text in them."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from unroll.evaluation.figures import TRAIN, VALID

LEVELS = 10  # steps of colour on either side of zero
STRONGEST = 0.85  # share of the full colour at the last step: black text stays legible on it

_STYLE = """\
:root { color-scheme: light; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; background: #fff; color: #222;
  font: 16px/1.5 "DejaVu Sans", Verdana, sans-serif; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; }
pre, code, i { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { margin: 0; padding: .7rem; border: 1px solid #ddd; border-radius: 4px;
  font-size: 14px; line-height: 1.65; white-space: pre-wrap; overflow-wrap: anywhere; }
i { font-style: normal; padding: .12em 0; }
.legend { font-size: 13px; color: #555; margin: 0 0 .4rem; }
.legend i { padding: .12em .35em; }
table { border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; padding: .25rem .7rem; border-bottom: 1px solid #e4e4e4; vertical-align: baseline; }
td.count { text-align: right; color: #555; }
td code { background: #f1f1f1; border-radius: 3px; padding: .1em .35em; white-space: pre; }
td small { color: #777; margin: 0 .9em 0 .3em; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole document; `parts` are HTML already."""
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_STYLE}{_colours()}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def coloured_text(pieces: Sequence[str], levels: Sequence[int]) -> str:
    """Text piece by piece, each coloured by its level from -LEVELS to LEVELS; a line breaks behind its sign ⏎."""
    runs = groupby(zip(pieces, levels, strict=True), key=lambda pair: pair[1])
    marked = []
    for level, run in runs:
        text = escape("".join(piece for piece, _ in run), quote=False).replace("⏎", "⏎\n")
        marked.append(f"<i class={_class(level)}>{text}</i>" if level else text)
    return f"<pre>{''.join(marked)}</pre>"


def legend(largest: float) -> str:
    """The colours from -`largest` to `largest`."""
    steps = range(-LEVELS, LEVELS + 1, LEVELS // 5)
    boxes = "".join(f"<i class={_class(level)}>&nbsp;</i>" if level else "<i>&nbsp;</i>" for level in steps)
    return f'<p class="legend">{-largest:.2f} {boxes} {largest:+.2f}</p>'


def _class(level: int) -> str:
    return f"n{-level}" if level < 0 else f"p{level}"


def _colours() -> str:
    """A class for each level: blue for negative, red for positive, the stronger the deeper."""
    lines = []
    for sign, colour in (("n", TRAIN), ("p", VALID)):
        full = [int(colour[n : n + 2], 16) for n in (1, 3, 5)]
        for level in range(1, LEVELS + 1):
            share = STRONGEST * level / LEVELS
            mixed = "".join(f"{round(255 + share * (part - 255)):02x}" for part in full)
            lines.append(f".{sign}{level} {{ background: #{mixed}; }}\n")
    return "".join(lines)

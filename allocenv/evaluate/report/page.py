"""One self-contained page of what evaluations found: summary, tables, charts, pictures, where it all comes from."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from allocenv.core.results import Results
from allocenv.evaluate.contest import KINDS
from allocenv.evaluate.report.charts import by_instance_chart, learning_curve, profiles, quality_over_time
from allocenv.evaluate.table import Line, cells, headers, lines, reference_of, title_of

_HERE = Path(__file__).parent
TITLE = "allocenv: what was compared, and how it went"
_WORDS = 2  # the first columns of a table are words


@dataclass(frozen=True)
class Chapter:
    """One comparison with the pictures beside it."""

    results: Results
    folder: Path


@dataclass(frozen=True)
class Curve:
    """A training's held-out objective over time."""

    name: str
    points: Sequence[tuple[float, float]]  # (minutes, objective)
    marks: dict[str, float] = field(default_factory=dict)  # opponent -> objective


def page(chapters: Sequence[Chapter], curves: Sequence[Curve] = (), reference: str | None = None) -> str:
    """The whole document."""
    names = _anchors(chapters)
    links = [f'<li><a href="#{at}">{escape(title)}</a></li>' for at, title in names]
    if curves:
        links.append('<li><a href="#training">Training</a></li>')
    parts = [_chapter(chapter, at, title, reference) for chapter, (at, title) in zip(chapters, names, strict=True)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{TITLE}</title>
<link rel="icon" href="data:,">
<style>{(_HERE / "page.css").read_text()}</style>
</head>
<body>
<header>
<h1>{TITLE}</h1>
<p class="soft">Objectives are minimised. Everybody acted on the same instances; the environment replayed every plan.
Intervals are 95 % bootstrap intervals over instances.</p>
<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav>
</header>
<main>
{_summary(chapters, names, reference)}
{"".join(parts)}
{_training(curves)}
</main>
<script>{(_HERE / "page.js").read_text()}</script>
</body>
</html>
"""


def _anchors(chapters: Sequence[Chapter]) -> list[tuple[str, str]]:
    return [(f"part{i}", f"{c.results.problem}: {c.results.instances}") for i, c in enumerate(chapters)]


def _summary(chapters: Sequence[Chapter], names: Sequence[tuple[str, str]], reference: str | None) -> str:
    """Who was best where, of those that know no future."""
    rows = []
    for chapter, (at, title) in zip(chapters, names, strict=True):
        results = chapter.results
        best = reference_of(results.final(), _wanted(results, reference))
        line = next(each for each in lines(results) if each.contender == best)
        found = [
            f'<th scope="row"><a href="#{at}">{escape(title)}</a></th>',
            f"<td>{len(results.labels)}</td>",
            f'<td class="word">{escape(best)} ({KINDS.get(line.kind, line.kind)})</td>',
            f"<td>{escape(str(line.objective))}</td>",
            f"<td>{100 * line.gap:.2f} %</td>",
            f"<td>{line.wall:.3g}</td>",
        ]
        rows.append(f"<tr>{''.join(found)}</tr>")
    heads = (
        "comparison",
        "instances",
        "best that knows no future",
        "objective (95 %)",
        "gap to best known",
        "wall s",
    )
    marks = "".join(f'<th scope="col"{_word(i in (0, 2))}>{head}</th>' for i, head in enumerate(heads))
    return (
        '<section aria-labelledby="summary"><h2 id="summary">Summary</h2>'
        '<div class="scroll" role="region" aria-labelledby="summary" tabindex="0"><table>'
        f"<thead><tr>{marks}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _wanted(results: Results, reference: str | None) -> str | None:
    """The reference, where it takes part."""
    return reference if reference in results.contenders else None


def _chapter(chapter: Chapter, at: str, title: str, reference: str | None) -> str:
    results = chapter.results
    wanted = _wanted(results, reference)
    found = lines(results, wanted)
    table = _table(results, found, at, headers(results, wanted))
    charts = [
        _figure(quality_over_time(results, found), "Quality against time: lower and further left is better."),
        _figure(by_instance_chart(results, found), "Gap on every instance."),
        _figure(profiles(results, found), "Performance profile: higher is better; the share of instances at each gap."),
    ]
    warned = "".join(
        f'<p class="bad">{escape(name)}: {escape(why.lower())}. Its figures do not count.</p>'
        for name, why in results.warnings.items()
    )
    return (
        f'<section aria-labelledby="{at}"><h2 id="{at}">{escape(title)}</h2>'
        f"<p>{escape(title_of(results))}.</p>{warned}{table}"
        f'<div class="charts">{"".join(charts)}{_pictures(chapter)}</div>{_provenance(results)}</section>'
    )


def _table(results: Results, found: Sequence[Line], at: str, heads: Sequence[str]) -> str:
    """Sortable where scripts run; the best stands first."""
    buttons = "".join(
        f'<th scope="col"{_word(i < _WORDS)}><button type="button">{escape(head)}</button></th>'
        for i, head in enumerate(heads)
    )
    body = "".join(f"<tr>{_row(cells(line, results), _values(line))}</tr>" for line in found)
    return (
        f'<div class="scroll" role="region" aria-labelledby="{at}" tabindex="0"><table class="sortable">'
        "<caption>A column's name sorts by it.</caption>"
        f"<thead><tr>{buttons}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(texts: Sequence[str], values: Sequence[float]) -> str:
    name, kind, *others = texts
    numbers = "".join(
        f'<td data-value="{value:.9g}">{escape(text)}</td>' for text, value in zip(others, values, strict=True)
    )
    return f'<th scope="row">{escape(name)}</th><td class="word">{escape(KINDS.get(kind, kind))}</td>{numbers}'


def _values(line: Line) -> tuple[float, ...]:
    """What the columns behind the words are sorted by."""
    return (
        line.objective.mean, line.gap, line.iqm.mean, line.difference.mean, line.better.mean, line.won, line.proven,
        line.decisions, line.wall, line.cpu, line.peak_mb,
    )  # fmt: skip


def _word(is_word: bool) -> str:
    return ' class="word"' if is_word else ""


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _pictures(chapter: Chapter) -> str:
    """Those that were drawn and still lie there."""
    shown = [(chapter.folder / name, escape(caption)) for name, caption in chapter.results.pictures.items()]
    return "".join(
        f'<figure><img alt="{caption}" src="data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}">'
        f"<figcaption>{caption}</figcaption></figure>"
        for file, caption in shown
        if file.is_file()
    )


def _provenance(results: Results) -> str:
    """Everything needed to repeat it."""
    told = {**results.provenance, "parameters": dict(results.params) or "the defaults"}
    told["instances"] = ", ".join(f"{label} {mark}" for label, mark in results.fingerprints.items())
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(_told(value))}</dd>" for key, value in told.items())
    return f"<h3>How to repeat it</h3><p><code>{escape(results.command)}</code></p><dl>{items}</dl>"


def _told(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _training(curves: Sequence[Curve]) -> str:
    if not curves:
        return ""
    charts = [_figure(learning_curve(c.name, c.points, c.marks), f"Learning curve of {c.name}.") for c in curves]
    return (
        '<section aria-labelledby="training"><h2 id="training">Training</h2>'
        f'<div class="charts">{"".join(charts)}</div></section>'
    )

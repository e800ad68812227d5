"""The figures as Markdown tables."""

from collections.abc import Sequence

from training.evaluate.summary import Row

_COLUMNS = ("auc", "auc_each", "eer", "own", "other_writer", "other", "mean_recall", "ece")
_PROBES = ("P1", "P2", "P3", "P4", "P5", "P6")


def format_table(rows: Sequence[Row]) -> str:
    """Return two Markdown tables: figures with intervals, and probes with cost."""
    lines = [
        "| recipe | pictures | " + " | ".join(_COLUMNS) + " |",
        "|---" * (2 + len(_COLUMNS)) + "|",
    ]
    for row in rows:
        cells = [str(row.figures[name]) if name in row.figures else "-" for name in _COLUMNS]
        lines.append(f"| {row.name} | {row.enrolled} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| recipe | pictures | " + " | ".join(_PROBES) + " | writers | enrolments | s each | MiB |",
        "|---" * (6 + len(_PROBES)) + "|",
    ]
    for row in rows:
        cells = [f"{row.probes[name]:.3f}" if name in row.probes else "-" for name in _PROBES]
        lines.append(
            f"| {row.name} | {row.enrolled} | "
            + " | ".join(cells)
            + f" | {row.trials['writers']} | {row.trials['enrolments']}"
            + f" | {row.cost['seconds']:.1f} | {row.cost['peak_mib']:.0f} |"
        )
    return "\n".join(lines)

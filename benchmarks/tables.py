"""What a benchmark gives: a table of records, which prints itself as Markdown."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Column:
    """What the cells of a column are.

    ``unit`` stands in the heading.  ``format`` is that of ``str.format``; a cell that
    is a list fills several fields of it.
    """

    name: str
    unit: str = ""
    format: str = "{}"

    @property
    def heading(self):
        """The name with the unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    def shown(self, value):
        """A cell as text: nothing for None, a text as it is."""
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        return self.format.format(*(value if isinstance(value, list) else [value]))


@dataclass(frozen=True)
class Table:
    """Records under a title; each row is a dictionary from columns' names.

    Parts yield their table again with every row that it has gained, so that what has
    been measured is on disk when something later fails.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[dict, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        """Two columns of one name would be one cell of each record."""
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError(f"table {self.name!r} has a column twice: {names}")

    def plus(self, *cells):
        """The table with one more row, a cell for each column."""
        names = [column.name for column in self.columns]
        row = dict(zip(names, map(plain, cells), strict=True))
        return replace(self, rows=(*self.rows, row))

    def noted(self, *notes):
        """The table with more sentences below it."""
        return replace(self, notes=(*self.notes, *notes))

    def row(self, name, cell):
        """The first row that has this cell in that column."""
        for row in self.rows:
            if row[name] == cell:
                return row
        raise KeyError(f"table {self.name!r} has no row with {name} {cell!r}")

    def head(self):
        """Title, headings and the line below them."""
        headings = " | ".join(column.heading for column in self.columns)
        rule = "|---" * len(self.columns) + "|"
        title = [f"**{self.title}**", ""] if self.title else []
        return "\n".join([*title, f"| {headings} |", rule])

    def line(self, row):
        """A row as a line of Markdown."""
        cells = [column.shown(row[column.name]) for column in self.columns]
        return f"| {' | '.join(cells)} |"

    def markdown(self):
        """All of it."""
        table = "\n".join([self.head(), *map(self.line, self.rows)])
        return "\n\n".join([table, *self.notes])

    def record(self):
        """What goes into the file of results."""
        columns = [
            {key: text for key, text in vars(column).items() if text != DEFAULTS[key]}
            for column in self.columns
        ]
        return {
            "name": self.name,
            "title": self.title,
            "columns": columns,
            "rows": list(self.rows),
            "notes": list(self.notes),
        }

    @classmethod
    def from_record(cls, record):
        """The table that a file of results holds."""
        columns = tuple(Column(**column) for column in record["columns"])
        rows, notes = tuple(record["rows"]), tuple(record["notes"])
        return cls(record["name"], record["title"], columns, rows, notes)


DEFAULTS = {"name": None, "unit": "", "format": "{}"}


def plain(value):
    """A cell as JSON holds it: six digits are more than any run repeats."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value

"""Rows as people write them down: column names, split names, and metadata.csv with its faults."""
import csv
import io
from pathlib import Path

# Our column, and what others call it, the likeliest first.
ALIASES = {
    "file_name": ("file_name", "filename", "file", "path", "audio_file", "audio", "wav"),
    "text": ("text", "transcription", "transcript", "sentence", "text_normalized", "normalized_text"),
    "speaker": ("speaker", "speaker_id", "speaker_name", "spk", "client_id"),
}
SIDES = {"train": "train", "valid": "valid", "val": "valid", "dev": "valid", "eval": "valid", "test": "valid"}
DELIMITERS = ",;\t|"  # a spreadsheet in Europe writes the second
SHOWN = 5  # names in a message; more nobody reads


def renamed(row):
    """Give a row its columns under our names; those of others stay beside them.  An empty cell counts as a
    value.
    """
    row = dict(row)
    for ours, names in ALIASES.items():
        present = [name for name in names if row.get(name) is not None]
        if present and ours != "file_name":
            row[ours] = row[present[0]]
    return row


def column(names, ours):
    """Which of the columns `names` holds what we call `ours`; None if none does."""
    for name in ALIASES[ours]:
        if name in names:
            return name
    return None


def side(name):
    """Say "train" or "valid" for what a corpus calls its splits ("training", "validation", "dev-clean"); ""
    for nothing.

    Raises ValueError for a name that says neither.
    """
    word = (name or "").strip().lower()
    if not word:
        return ""
    for beginning, ours in SIDES.items():
        if word.startswith(beginning):
            return ours
    raise ValueError(f"A row has the split {name!r}: write train or valid, or leave the column out.")


def listed(names):
    """The first of `names`, and how many there are beyond."""
    names = [str(name) for name in names]
    beyond = len(names) - SHOWN
    shown = ", ".join(names[:SHOWN])
    return f"{shown} and {beyond} more" if beyond > 0 else shown


def read_csv(path):
    """Rows of metadata.csv as dicts of strings, with `file_name`, `text` and `speaker` among the columns.

    Raises ValueError with file and line for another encoding than UTF-8 or UTF-16, an open quote, a line with
    more or fewer fields than the heading, and for a heading that lacks one of the three.
    """
    path = Path(path)
    content = _decoded(path)
    heading = content.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=heading.count)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    lines = _fields(path, reader)
    names = [name.strip() for name in lines[0][1]] if lines else []
    if len(lines) < 2 or not column(names, "file_name") or not column(names, "speaker"):
        raise ValueError(f"{path} needs the columns file_name, text, speaker; it has {names}.")
    if not column(names, "text"):
        raise ValueError(f"{path} has no column for what is said; it has {names}: call one of them text.")
    rows = []
    for number, fields in lines[1:]:
        if len(fields) != len(names):
            raise ValueError(f"{path}, line {number}: {len(fields)} fields, "
                             f"but the heading has {len(names)}. "
                             f'A text with {delimiter!r} in it needs quotes around it: "...".')
        row = renamed(zip(names, fields, strict=True))
        row["file_name"] = row[column(names, "file_name")]
        rows.append(row | {"line": number})
    return rows


def _decoded(path):
    """Text of a file in UTF-8, with or without its mark, or UTF-16 with it."""
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data[: error.start].count(b"\n")
        raise ValueError(f"{path}, line {line}: not UTF-8. Save the table as CSV in UTF-8.") from error


def _fields(path, reader):
    """(line number, fields) of every line with something on it."""
    lines = []
    begin = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                lines.append((begin, fields))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {begin}: {error}. Look for a quotation mark that is not closed; "
                         'inside quotes it is written twice: "".') from error
    return lines

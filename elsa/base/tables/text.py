"""From the path of a table to its text."""

import os

from elsa.base.tables.path import bytes_of

_MARKS = (  # the first bytes of a text in UTF-16 or UTF-32, the longer ones first
    *((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32")),
    *((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")),
)
_NO_TEXT = {
    b"PK\x03\x04": "an Excel or zip file",
    b"\xd0\xcf\x11\xe0": "an Excel file",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file",
    b"%PDF": "a PDF file",
}


def text_of(path: str | os.PathLike[str]) -> str:
    """The file's text.

    Raises:
      OSError: of the kind that fits, where there is no such file or it cannot be read.
      ValueError: where it is no text, or an empty one.
    """
    data = bytes_of(path)
    for mark, what in _NO_TEXT.items():
        if data.startswith(mark):
            raise ValueError(f"read_csv: {path} is {what} and no text; save the table as CSV")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == "utf-8-sig" else encoding.upper()
        raise ValueError(
            f"read_csv: {path} must be {name}, got the byte {error.object[error.start]:#04x} at "
            f"position {error.start}; save it as UTF-8"
        ) from error
    if "\0" in text:
        raise ValueError(
            f"read_csv: {path} holds NUL bytes: it is no text, or UTF-16 without its mark; save it "
            "as UTF-8"
        )
    if not text.strip():
        raise ValueError(
            f"read_csv: {path} is empty; its first line must name the columns, the next lines are "
            "rows"
        )
    return text

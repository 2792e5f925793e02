"""Text for terminals that cannot show all of it: λ as lambda, × as x, a table's lines as + - |."""

import codecs
import os
import unicodedata

ERRORS = "elsa.plain"  # the name under which `str.encode` and streams know what this file does
_EQUIVALENTS = {
    **{"×": "x", "·": ".", "÷": "/", "±": "+-", "−": "-", "–": "-", "—": "-", "√": "sqrt "},
    **{"∞": "inf", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∑": "sum", "∏": "prod", "∂": "d"},
    **{"→": "->", "←": "<-", "↔": "<->", "⇒": "=>", "↑": "^", "↓": "v", "∈": "in", "∇": "grad"},
    **{"…": "...", "•": "*", "‘": "'", "’": "'", "“": '"', "”": '"', "‐": "-", "°": " deg"},
    **{"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "đ": "d", "ł": "l", "Ł": "L"},
    **{"ᵀ": "^T", "²": "^2", "³": "^3", "⁻": "^-", "¹": "^1"},
}
_LINES = "-|"  # horizontal and vertical ones of boxes; corners and crossings are +


def plain(text: str, encoding: str) -> str:
    """The text with plain equivalents of what the encoding does not have.

    Args:
      text: any; bytes of a file's name that could not be read are left to what they are.
      encoding: of where it is shown, by a name that Python knows.
    """
    if text.isascii():
        return text
    return text.encode(encoding, ERRORS).decode(encoding, "surrogateescape")


def decoded(word: str) -> str:
    """A word of the command line as the text that it is in UTF-8, whatever the locale.

    Python leaves the bytes that its locale does not know in the word, as half of a pair of UTF-16.
    """
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeError:  # it is text already, or bytes of another encoding
        return word


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """What `str.encode` asks for: what stands in for the first character it cannot encode."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # a byte of a path in no encoding that Python knew
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _equivalent(character), error.start + 1


def _equivalent(character: str) -> str:
    """ASCII for one character: a look-alike, its letters, or else its number, as Python's."""
    if character in _EQUIVALENTS:
        return _EQUIVALENTS[character]
    words = unicodedata.name(character, "").split()
    if words[:2] == ["BOX", "DRAWINGS"]:
        lines = [("HORIZONTAL" in words), ("VERTICAL" in words)]
        corner = "AND" in words or all(lines)
        return "+" if corner or not any(lines) else _LINES[lines.index(True)]
    if words[-1:] == ["BLOCK"] or words[-1:] == ["SHADE"]:
        return "#"
    if words[:1] == ["GREEK"] and "LETTER" in words:
        letter = words[words.index("LETTER") + 1].replace("LAMDA", "LAMBDA")
        letter = "SIGMA" if letter == "FINAL" else letter
        return letter.capitalize() if words[1] == "CAPITAL" else letter.lower()
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return letters or character.encode("ascii", "backslashreplace").decode()


codecs.register_error(ERRORS, _replaced)

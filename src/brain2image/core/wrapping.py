"""Text in lines of a given width, for tables of the terminal."""

import re


def wrap_paths(text: str, width: int) -> str:
    """Divide a text into lines between words, and a path that is longer than a line behind its slashes.

    Parameters
    ----------
    text : words of any length; line breaks are kept.
    width : characters a line. A part without a slash may be longer.
    """
    return "\n".join(_wrap_line(line, width) for line in text.split("\n"))


def _wrap_line(text: str, width: int) -> str:
    lines = [""]
    for word in text.split():
        parts = [word] if len(word) <= width else re.findall(r"[^/]*/+|[^/]+", word)
        for number, part in enumerate(parts):
            joined = f"{lines[-1]} {part}" if lines[-1] and number == 0 else lines[-1] + part
            if len(joined) <= width:
                lines[-1] = joined
            else:
                lines.append(part)
    return "\n".join(lines).strip("\n")

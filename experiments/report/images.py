"""Figures as data URIs: nothing in them can load or run anything."""

import base64
import re
from dataclasses import dataclass
from xml.etree import ElementTree

from experiments.figures.style import WIDTH
from experiments.report.results import Found
from populations.errors import InputError

FULL_WIDTH = 72 * WIDTH  # points
_LENGTH = re.compile(r"(\d{1,5}(?:\.\d+)?)(pt|px|)", re.ASCII)


@dataclass(frozen=True)
class Image:
    """One figure.

    Parameters
    ----------
    name, title, caption, alt : str
    uri : str
    width, height : float
        In points.
    """

    name: str
    title: str
    caption: str
    alt: str
    uri: str
    width: float
    height: float

    @property
    def share(self) -> float:
        """How much of the page's width it takes: text is of one size in all figures."""
        return min(1.0, self.width / FULL_WIDTH)


def images(found: Found) -> list[Image]:
    """The figures of a study, in the order in which it drew them.

    Raises
    ------
    InputError
        If the file of one is missing or no SVG.
    """
    return [_image(found, name, text) for name, text in found.captions.items()]


def _image(found: Found, name: str, text: dict[str, str]) -> Image:
    path = found.folder / "figures" / f"{name}.svg"
    try:
        content = path.read_bytes()
        root = ElementTree.fromstring(content)
    except (OSError, ValueError, LookupError, ElementTree.ParseError) as error:
        raise InputError(
            f"{path}: missing or damaged ({error}); run `equipoise run compare` again"
        ) from None
    sizes = [_LENGTH.fullmatch(root.get(side, "")) for side in ("width", "height")]
    width, height = (float(size.group(1)) if size else 0.0 for size in sizes)
    if not (root.tag.endswith("}svg") and width and height):
        given = ", ".join(f"{side} {root.get(side)!r}" for side in ("width", "height"))
        raise InputError(
            f"{path}: {given}: expected an SVG drawing with a width and a height in points, such "
            "as 518.4pt"
        )
    uri = f"data:image/svg+xml;base64,{base64.b64encode(content).decode('ascii')}"
    return Image(name, text["title"], text["caption"], text["alt"], uri, width, height)

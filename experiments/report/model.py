"""The description of the model as a part of the page: headings one level down, tables captioned."""

from collections.abc import Iterator
from html import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token

from experiments.odd import document


def odd() -> str:
    """The ODD description without the figures of any population, as HTML."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = list(_fitted(markdown.parse(document.markdown(None))))
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _fitted(tokens: list[Token]) -> Iterator[Token]:
    """Tokens with what a page needs so that tables can be told apart, scrolled and read aloud."""
    heading = said = ""
    for place, token in enumerate(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1]) + 1}"
        if token.type == "heading_open":
            heading = tokens[place + 1].content.lstrip("0123456789. ")
        if token.type == "paragraph_open":
            said = _code(tokens[place + 1])
        if token.type == "th_open":
            token.attrSet("scope", "col")
        if token.type == "table_open":
            token.attrSet("class", "words")
            caption = escape(f"{heading}: {said or _column(tokens[place:])}")
            yield _html(f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}">\n')
            yield token
            yield _html(f"<caption>{caption}</caption>\n")
        elif token.type == "table_close":
            yield token
            yield _html("</div>\n")
            said = ""
        else:
            yield token


def _code(paragraph: Token) -> str:
    """The code that a paragraph begins with, such as the name of a section of parameters."""
    first = (paragraph.children or [paragraph])[0]
    return first.content if first.type == "code_inline" else ""


def _column(table: list[Token]) -> str:
    """The heading of a table's first column."""
    return next(token.content for token in table if token.type == "inline")


def _html(content: str) -> Token:
    return Token("html_block", "", 0, content=content)

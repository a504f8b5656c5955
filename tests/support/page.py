"""What a reader of a report's page finds."""

from __future__ import annotations

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """What a reader of the page finds: text, elements, tables, and the plots' data."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.plots: dict[str, dict] = {}
        self.scripts: list[str] = []
        self.text = ""
        self.headings: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._data = self._rows = None
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        self._open.append(tag)
        if tag == "script":
            self._data = found.get("id")
            self.scripts.append("")
        if tag == "table":
            self._rows = []
        if tag == "caption":
            self._caption = ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.tables[self._caption] = self._rows
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        data = data.replace("\N{NO-BREAK SPACE}", " ")
        if "script" in self._open:
            if self._data:
                self.plots[self._data.removesuffix("-data")] = json.loads(data)
            self.scripts[-1] += data
            return
        if "caption" in self._open:
            self._caption += data
        elif "td" in self._open or "th" in self._open:
            self._rows[-1][-1] += ("|" if "small" in self._open else "") + data
        if self._open and self._open[-1] in ("h1", "h2"):
            self.headings.append((self._open[-1], data))
        if "style" not in self._open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

"""Checks the built documentation site: whole, and readable without a network.

    python -m zensical build --clean --strict && python scripts/check_site.py

Fails if a page loads a script, a style, a font or a picture from another host, if a link within the
site leads nowhere, if a page of docs/ is missing in the site or in its navigation, or if a page
lacks a member that its source lists, such as a method that moved to a base class.
"""

import posixpath
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parent.parent
SITE = ROOT / "site"
NOT_IN_NAVIGATION = {"methods"}  # their own table links to them
LOADS = {("script", "src"), ("img", "src"), ("source", "srcset"), ("iframe", "src")}


class Page(HTMLParser):
    """What a page loads, links to, and can be linked to at."""

    def __init__(self, text: str):
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values["id"]} if "id" in values else set()
        self.loads += [
            values[name] for tag_name, name in LOADS if tag_name == tag and name in values
        ]
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preconnect", "preload"):
            self.loads.append(values["href"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])


def main(site: Path = SITE, docs: Path = ROOT / "docs") -> list[str]:
    """Every fault found, in words."""
    pages = {
        path.relative_to(site).as_posix(): Page(path.read_text())
        for path in sorted(site.rglob("*.html"))
    }
    if not pages:
        return [f"{site} has no pages; expected the built site. Run `python -m zensical build`."]
    missing = [*_missing(pages, docs), *_missing_members(pages, docs)]
    return [*missing, *_foreign(pages), *_dead_links(pages, site)]


def _missing(pages: dict[str, Page], docs: Path) -> Iterator[str]:
    home = pages.get("index.html")
    linked = {posixpath.normpath(link) for link in home.links} if home else set()
    for source in sorted(docs.rglob("*.md")):
        page = source.relative_to(docs)
        name = page.with_suffix(".html").as_posix().replace("README.html", "index.html")
        if name not in pages:
            yield f"docs/{page} has no page in the site; expected {name}."
        elif name not in {*linked, "index.html"} and page.parts[0] not in NOT_IN_NAVIGATION:
            yield f"docs/{page} is not in the navigation. Add it to nav in zensical.toml."


def _missing_members(pages: dict[str, Page], docs: Path) -> Iterator[str]:
    for source in sorted(docs.rglob("*.md")):
        page = source.relative_to(docs)
        built = pages.get(page.with_suffix(".html").as_posix())
        blocks = re.findall(r"^::: (\S+)\n(?: .*\n)*? +members: \[(.+)\]", source.read_text(), re.M)
        for name, listed in blocks if built else ():
            for member in listed.split(", "):
                if f"{name}.{member}" not in built.anchors:
                    yield f"docs/{page} lists {member} of {name}, which the site lacks."


def _foreign(pages: dict[str, Page]) -> Iterator[str]:
    for name, page in pages.items():
        for address in page.loads:
            if urlsplit(address).netloc:
                yield f"{name} loads {address}; expected nothing from another host."


def _dead_links(pages: dict[str, Page], site: Path) -> Iterator[str]:
    for name, page in pages.items():
        if name == "404.html":  # its links are absolute, for any depth
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = (site / name).parent / unquote(parts.path) if parts.path else site / name
            path = path.resolve()
            target = path / "index.html" if path.is_dir() else path
            if not target.is_file():
                yield f"{name} links to {link}, which is not in the site."
            elif parts.fragment and target.suffix == ".html":
                linked_page = pages[target.relative_to(site.resolve()).as_posix()]
                if unquote(parts.fragment) not in linked_page.anchors:
                    yield f"{name} links to {link}; that page has no such place."


if __name__ == "__main__":
    faults = main()
    print("\n".join(faults) or "The site is whole, and loads nothing from elsewhere.")
    sys.exit(1 if faults else 0)

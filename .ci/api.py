#!/usr/bin/env python3
"""The public API of the published libraries as text, in docs/api: a change of it shows in review.

Without arguments rewrites the files, with --check fails if one of them is out of date. Reads what
`cargo doc` has written (the stable compiler has no other form of it) and leaves out documentation,
auto traits and blanket implementations.
"""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

from metadata import metadata

ROOT = Path(__file__).parent.parent
# The tags of `code-header` whose text is a declaration, and the indent of its line.
INDENT = {"h3": "  ", "h4": "    "}
KINDS = ("struct", "enum", "trait", "fn", "constant", "type", "macro", "union", "static")


class Page(HTMLParser):
    """The declarations on one page: the item, its methods, the traits that it implements."""

    def __init__(self):
        super().__init__()
        self.lines, self.tag, self.text = [], None, ""
        # The page of the item's source, which tells its crate.
        self.source = ""
        self.listed = self.of_trait = False

    def handle_starttag(self, tag, attrs):
        attributes = {name: value or "" for name, value in attrs}
        classes = attributes.get("class", "").split()
        identifier = attributes.get("id", "")
        # What a type has through Deref is listed among its own implementations.
        if tag == "div" and (identifier.endswith("-list") or identifier.startswith("deref-")):
            self.listed = identifier in ("implementations-list", "trait-implementations-list")
        # What stands in a trait's implementation says nothing that its heading does not.
        if tag == "section":
            self.of_trait = "trait-impl" in classes
        if tag == "a" and "src" in classes and not self.source:
            self.source = attributes["href"]
        declared = tag == "pre" and "item-decl" in classes
        listed = tag in INDENT and "code-header" in classes and self.listed and not self.of_trait
        reexported = tag == "dt" and identifier.startswith("reexport.")
        if declared or listed or reexported:
            self.tag, self.text = tag, ""

    def handle_data(self, data):
        self.text += data

    def handle_endtag(self, tag):
        if self.tag == "pre" and tag == "div":
            self.text += "\n"
        if self.tag != tag:
            return
        if tag == "pre":
            text = re.sub(r"Show \d+ \w+", "", self.text)
            self.lines += [line.rstrip() for line in text.splitlines() if line.strip()]
        elif "StructuralPartialEq" not in self.text:
            self.lines.append(INDENT.get(tag, "") + " ".join(self.text.split()))
        self.tag = None


def api(directory):
    """The API of the crate documented in this directory, item by item. Of what it re-exports from
    another crate only the names."""
    blocks, reexported = [], []
    for path in sorted(directory.rglob("*.html")):
        kind, _, name = path.stem.partition(".")
        module = "::".join(path.relative_to(directory.parent).parts[:-1])
        if path.stem == "index":
            title = f"mod {module}"
        elif kind in KINDS and name:
            title = f"{kind} {module}::{name}"
        else:
            continue
        page = Page()
        page.feed(path.read_text())
        if not page.lines:
            # A redirection, or a module without declarations.
            continue
        if path.stem != "index" and f"/src/{directory.name}/" not in page.source:
            reexported.append(title)
        else:
            blocks.append("\n".join([f"## {title}", *page.lines]))
    if reexported:
        blocks.append("\n".join(["## re-exported", *reexported]))
    return "\n\n".join(blocks) + "\n"


def main():
    os.chdir(ROOT)
    meta = metadata("--no-deps")
    # `publish = false` reads as an empty list of registries.
    published = [package for package in meta["packages"] if package["publish"] != []]
    targets = [target for package in published for target in package["targets"]]
    libraries = sorted(target["name"] for target in targets if "lib" in target["kind"])
    packages = [word for package in published for word in ("-p", package["name"])]
    documentation = Path(meta["target_directory"]) / "doc"
    for library in libraries:
        # Pages of items that are gone would stay.
        shutil.rmtree(documentation / library, ignore_errors=True)
    subprocess.run(["cargo", "doc", "--no-deps", "--quiet", *packages], check=True)
    stale = []
    for library in libraries:
        text = api(documentation / library)
        path = Path("docs/api") / f"{library.replace('_', '-')}.txt"
        if path.is_file() and path.read_text() == text:
            continue
        stale.append(str(path))
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    print(f"{len(libraries)} libraries, changed: {', '.join(stale) or 'none'}")
    if stale and "--check" in sys.argv:
        sys.exit("run .ci/api.py and commit what it writes")


main()

#!/usr/bin/env python3
"""Prints `-p NAME` for workspace members: those of `others` are no default members."""

import sys

from metadata import metadata

meta = metadata("--no-deps")
names = {package["id"]: package["name"] for package in meta["packages"]}
default = set(meta["workspace_default_members"])
chosen = {
    "all": meta["workspace_members"],
    # Those for a release candidate are `.ci/long previews`.
    "others": [
        member
        for member in meta["workspace_members"]
        if member not in default and not names[member].endswith("-03")
    ],
}[sys.argv[1]]
print(" ".join(f"-p {names[member]}" for member in chosen))

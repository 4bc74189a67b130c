#!/usr/bin/env python3
"""Fails if a normal dependency of a published member states a newer Rust than the workspace.

With clippy's `incompatible_msrv`, which looks at our own code, this stands for a build with the
oldest compiler, which a fresh machine does not have.
"""

import sys

from metadata import metadata, normal_dependencies


def version(text):
    """`1.89` as (1, 89, 0)."""
    numbers = [int(number) for number in text.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))


meta = metadata()
packages = {package["id"]: package for package in meta["packages"]}
# `publish = false` reads as an empty list of registries: a member for ourselves (benchmarks).
published = [m for m in meta["workspace_members"] if packages[m]["publish"] != []]
own = {packages[member]["rust_version"] for member in published}
if len(own) != 1 or None in own:
    sys.exit(f"the members state different Rust versions: {own}")
limit = own.pop()
reached = sorted(normal_dependencies(meta, published))
newer = [
    f"{packages[package]['name']} {packages[package]['version']} needs Rust {stated}"
    for package in reached
    if (stated := packages[package]["rust_version"]) and version(stated) > version(limit)
]
if newer:
    sys.exit(f"newer than {limit}:\n" + "\n".join(newer))
print(f"{len(reached)} packages compile with Rust {limit} or say nothing else")

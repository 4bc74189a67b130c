"""What `cargo metadata` says of the workspace, for the checks of this directory."""

import json
import subprocess


def metadata(*arguments):
    """The output of `cargo metadata`, read."""
    command = ["cargo", "metadata", "--format-version", "1", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def normal_dependencies(meta, roots):
    """The ids of what is compiled into these packages: no build scripts' and no tests' needs."""
    nodes = {node["id"]: node for node in meta["resolve"]["nodes"]}
    seen, waiting = set(), list(roots)
    while waiting:
        package = waiting.pop()
        if package in seen:
            continue
        seen.add(package)
        for dependency in nodes[package]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return seen

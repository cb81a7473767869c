"""Writes what is in a release: a CycloneDX list of every crate that is linked in, and the licence texts of all of them.

Usage: contents.py TARGET VERSION DIRECTORY PACKAGE...

Both files follow from Cargo.lock and the sources of the crates alone: the same commit gives the same bytes.
"""

import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tomllib
import uuid

LICENCE_FILES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT")


def metadata(target):
    """What cargo knows of the workspace and its dependencies for one target."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def tree(target, roots):
    """Name and version of what the programs are built from. Cargo's metadata has more: the features of all packages."""
    command = ["cargo", "tree", "--locked", "--target", target, "--edges", "normal,no-proc-macro", "--prefix", "none"]
    for root in roots:
        command += ["--package", root]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    words = [line.split() for line in lines if line.strip()]
    return {(line[0], line[1].removeprefix("v")) for line in words}


def linked(meta, roots, built):
    """The packages that end up in the programs, each with those that it needs: no build scripts' own, no tests' own."""
    packages = {package["id"]: package for package in meta["packages"]}
    nodes = {node["id"]: node for node in meta["resolve"]["nodes"]}
    there = {number for number, package in packages.items() if (package["name"], package["version"]) in built}
    waiting = [number for number, package in packages.items() if package["name"] in roots]
    missing = set(roots) - {packages[number]["name"] for number in waiting}
    if missing:
        sys.exit(f"contents: no package {', '.join(sorted(missing))}")
    found = {}
    while waiting:
        number = waiting.pop()
        if number in found:
            continue
        normal = [
            dependency["pkg"]
            for dependency in nodes[number]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]) and dependency["pkg"] in there
        ]
        found[number] = (packages[number], sorted(normal))
        waiting.extend(normal)
    return found


def checksums():
    """The SHA-256 of each crate as the registry has it."""
    lock = tomllib.loads(pathlib.Path("Cargo.lock").read_text())
    return {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock["package"]}


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, sums):
    entry = {
        "type": "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package["license"]:
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


def bill(found, target, version, programs):
    sums = checksums()
    entries = sorted((component(package, sums) for package, _ in found.values()), key=lambda entry: entry["bom-ref"])
    needs = [
        {"ref": reference(package), "dependsOn": sorted(reference(found[need][0]) for need in normal)}
        for package, normal in found.values()
    ]
    files = [
        {
            "type": "file",
            "bom-ref": f"file:bin/{program.name}",
            "name": f"bin/{program.name}",
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(program.read_bytes()).hexdigest()}],
        }
        for program in programs
    ]
    made = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.UTC)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "application", "bom-ref": "spike", "name": "spike", "version": version},
            "properties": [{"name": "target", "value": target}],
        },
        "components": files + entries,
        "dependencies": sorted(needs, key=lambda need: need["ref"]),
    }
    # The number follows from the content, so that it is the same each time.
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
    return document


def licences(found):
    """Every licence text of every crate. Texts that are the same are given once, with the crates that have them."""
    texts = {}
    without = []
    for package, _ in found.values():
        if package["source"] is None:
            continue
        folder = pathlib.Path(package["manifest_path"]).parent
        names = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name.upper().startswith(LICENCE_FILES)]
        crate = f"{package['name']} {package['version']} ({package['license']})"
        if not names:
            without.append(crate)
        for path in names:
            text = path.read_text(encoding="utf-8", errors="replace").strip()
            texts.setdefault(text, set()).add(crate)
    parts = [f"{', '.join(sorted(crates))}\n\n{text}\n" for text, crates in texts.items()]
    if without:
        parts.append("Crates without a licence text of their own:\n\n" + "\n".join(sorted(without)) + "\n")
    return ("\n" + "-" * 80 + "\n\n").join(sorted(parts))


def main():
    target, version, directory, *roots = sys.argv[1:]
    directory = pathlib.Path(directory)
    found = linked(metadata(target), roots, tree(target, roots))
    document = bill(found, target, version, sorted((directory / "bin").iterdir()))
    (directory / "sbom.cdx.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    (directory / "THIRD-PARTY-LICENSES.txt").write_text(licences(found))


main()

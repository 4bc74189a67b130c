#!/usr/bin/env python3
"""Reads what docs/FORMAT.md describes, by the tables that stand there: an oracle, and a viewer.

    decode.py entry FILE              one entry, as JSON
    decode.py snapshot FILE           one snapshot, as JSON
    decode.py log LEDGER_ID FILE      entries as lines of hex, a line of JSON each: checks that each
                                      continues the one before, and tells the head after it

FILE may be `-`. With --secrets before the command preimages are shown. Exits with 1 and a message
if the bytes are not what the document allows.
"""

import hashlib
import json
import pathlib
import re
import sys


class Bad(Exception):
    """The bytes are not what the document allows."""


class Reader:
    """Bytes, from front to back."""

    def __init__(self, data, secrets):
        self.data, self.at, self.secrets = data, 0, secrets

    def take(self, count):
        if count > self.left():
            raise Bad(f"the bytes end at {len(self.data)}, {count} more are needed at {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def left(self):
        return len(self.data) - self.at

    def varint(self, bits):
        first = self.take(1)[0]
        if first <= 250:
            return first
        if first > 253:
            raise Bad(f"no number begins with {first}")
        value = int.from_bytes(self.take({251: 2, 252: 4, 253: 8}[first]), "little")
        if value < {251: 251, 252: 1 << 16, 253: 1 << 32}[first]:
            raise Bad(f"{value} in a longer form than needed")
        if value >= 1 << bits:
            raise Bad(f"{value} in {bits} bits")
        return value

    def counted(self, limit):
        count = self.varint(64)
        if count > limit:
            raise Bad(f"{count} where {limit} are the most")
        return count


# A type reads a value from a reader. In a tail it also says what leaving the field out says.

NOTHING = object()


class Type:
    """How a value is read, and what a tail means that leaves it out; `held` is what stands in a
    field of a tail, where that is otherwise."""

    def __init__(self, read, absent=None, held=None):
        self.read, self.absent, self.held = read, absent, held or read


def raw(count):
    return Type(lambda reader: reader.take(count).hex())


def number(bits):
    return Type(lambda reader: reader.varint(bits), 0)


def byte(reader):
    return reader.take(1)[0]


def boolean(reader):
    value = byte(reader)
    if value > 1:
        raise Bad(f"{value} is neither no nor yes")
    return value == 1


def preimage(reader):
    data = reader.take(32)
    return data.hex() if reader.secrets else "hidden"


def notification_id(reader):
    seq = reader.varint(64)
    return f"{seq}-{reader.take(8).hex()}"


def state_digest(reader):
    version = byte(reader)
    return f"{version}:{reader.take(32).hex()}"


def head(reader):
    return {"seq": reader.varint(64), "chain": reader.take(32).hex()}


def decoded(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Bad("text that is not UTF-8") from error


def counted(limit, show):
    """Bytes after their length; in a tail the field's length is theirs."""

    def rest(reader):
        if reader.left() > limit:
            raise Bad(f"{reader.left()} bytes where {limit} are the most")
        return show(reader.take(reader.left()))

    return Type(lambda reader: show(reader.take(reader.counted(limit))), "", rest)


# Chapter 1.

PRIMITIVES = {
    "u8": Type(byte, 0),
    "u16": number(16),
    "u32": number(32),
    "u64": number(64),
    "bool": Type(boolean, False, lambda reader: True),
    "msat": number(64),
    "millis": number(64),
    "height": number(32),
    "scid": number(64),
    "payment id": raw(32),
    "part id": raw(32),
    "hash": raw(32),
    "preimage": Type(preimage),
    "offer hash": raw(32),
    "ledger id": raw(32),
    "log hash": raw(32),
    "node id": raw(33),
    "digest": raw(8),
    "notification id": Type(notification_id),
    "state digest": Type(state_digest),
    "head": Type(head),
}


class Tables:
    """The tables of the document's chapters 4 to 6."""

    def __init__(self, document):
        self.records, self.enums, self.events = {}, {}, []
        chapters = document[document.index("## 4.") : document.index("## 7.")]
        for line in chapters.splitlines():
            cells = [cell.strip() for cell in line[1:-1].split("|")] if line[:1] == "|" else []
            name = re.fullmatch(r"`(.+)`", cells[0]) if cells else None
            if len(cells) == 4 and cells[0].isdigit():
                assert int(cells[0]) == len(self.events), "events in the order of their numbers"
                self.events.append((cells[1].strip("`"), cells[2], cells[3]))
            elif name and len(cells) == 3:
                self.records[name[1]] = (cells[1], cells[2])
            elif name and re.match(r"0 `", cells[1]):
                self.enums[name[1]] = cells[1]
        self.made = dict(PRIMITIVES)

    def type(self, text):
        if text not in self.made:
            self.made[text] = self.make(text)
        return self.made[text]

    def make(self, text):
        if match := re.fullmatch(r"option (.+)", text):
            inner = self.type(match[1])
            return Type(lambda reader: inner.read(reader) if boolean(reader) else None, None, inner.read)
        if match := re.fullmatch(r"list (?:≤ (\d+) )?of (.+)", text):
            inner, limit = self.type(match[2]), int(match[1] or (1 << 32) - 1)
            items = lambda reader: [inner.read(reader) for _ in range(reader.counted(limit))]
            return Type(items, [])
        if match := re.fullmatch(r"(blob|text) ≤ (\d+)", text):
            return counted(int(match[2]), bytes.hex if match[1] == "blob" else decoded)
        if text in self.enums:
            return Type(self.enum(self.enums[text], text in ("anomaly", "status") and text))
        fields, tail = self.records[text]
        return Type(self.record(fields, tail))

    def fields(self, text):
        found = re.findall(r"(\w+) `([^`]+)`", text)
        return [(name, self.type(kind)) for name, kind in found]

    def record(self, fields, tail):
        fields = self.fields(fields)
        late = None if tail == "none" else self.tail(tail)

        def read(reader):
            value = {name: kind.read(reader) for name, kind in fields}
            return value if late is None else {**value, **self.read_tail(reader, late)}

        return read

    def tail(self, text):
        """By tag: the name, the type, and what leaving it out says."""
        found = re.findall(r"(\d+) (\w+) `([^`]+)`(?: else ([\w ]+))?", text)
        late = {}
        for tag, name, kind, otherwise in found:
            type_ = self.type(kind)
            absent = self.value(kind, otherwise) if otherwise else type_.absent
            never = NOTHING if kind.startswith("option") or kind == "bool" else absent
            late[int(tag)] = (name, type_, absent, never)
        return late

    def value(self, kind, text):
        parts = [int(part) if part.isdigit() else part for part in text.split(" and ")]
        if kind not in self.records:
            return parts[0]
        names = [name for name, _ in self.fields(self.records[kind][0])]
        return dict(zip(names, parts))

    def read_tail(self, reader, late):
        value = {name: absent for name, _, absent, _ in late.values()}
        unknown, last = [], -1
        for _ in range(reader.counted(64)):
            tag, length = reader.varint(64), reader.varint(64)
            if tag <= last:
                raise Bad(f"tag {tag} after tag {last}")
            last = tag
            field = Reader(reader.take(length), reader.secrets)
            if tag in late:
                name, type_, _, never = late[tag]
                value[name] = type_.held(field)
                finish(field)
                if value[name] == never:
                    raise Bad(f"{name} says what leaving it out says")
            elif tag % 2 == 0 or length > 4096:
                raise Bad(f"tag {tag} is not known, or too long")
            else:
                unknown.append({"tag": tag, "bytes": field.data.hex()})
        return {**value, "unknown": unknown} if unknown else value

    def enum(self, text, tag):
        variants = []
        for number, variant in enumerate(text.split(" · ")):
            match = re.fullmatch(r"(\d+) `(\w+)`(?: \((.+)\))?", variant)
            assert match and int(match[1]) == number, variant
            variants.append((match[2], self.held(match[3])))
        return lambda reader: self.read_enum(reader, variants, tag)

    def held(self, text):
        """What a variant holds: nothing, a value, or fields."""
        if not text:
            return None
        if alone := re.fullmatch(r"(?:[\w ]+, )?`([^`]+)`", text):
            return self.type(alone[1]).read
        return self.record(text, "none")

    def read_enum(self, reader, variants, tag):
        number = reader.varint(32)
        if number >= len(variants):
            raise Bad(f"no variant has number {number}")
        name, inner = variants[number]
        if tag:
            return {tag: name, **(inner(reader) if inner else {})}
        return {name: inner(reader)} if inner else name

    def event(self, reader):
        number = reader.varint(32)
        if number >= len(self.events):
            raise Bad(f"no event has number {number}")
        name, fields, tail = self.events[number]
        if name not in self.made:
            self.made[name] = self.record(fields, tail)
        return {"event": name, **self.made[name](reader)}


DOCUMENT = pathlib.Path(__file__).parents[4] / "docs" / "FORMAT.md"
TABLES = Tables(DOCUMENT.read_text(encoding="utf-8"))


def versioned(data, secrets):
    """A reader behind the version."""
    if not data:
        raise Bad("no bytes")
    if data[0] != 0x81:
        raise Bad(f"the first byte is {data[0]}, this reads version 1")
    reader = Reader(data, secrets)
    reader.take(1)
    return reader


def finish(reader):
    if reader.left():
        raise Bad(f"{reader.left()} bytes are left over")


# Chapter 2.


def entry(data, secrets):
    reader = versioned(data, secrets)
    if len(data) > 1 << 20:
        raise Bad("an entry larger than 1 MiB")
    names = ("first_seq", "now", "epoch")
    header = {"format": 1, **{name: reader.varint(64) for name in names}, "events": reader.varint(32)}
    if 0 in (header["events"], header["first_seq"]):
        raise Bad("an entry without events, or from seq 0")
    if header["first_seq"] + header["events"] >= 1 << 64:
        raise Bad("seqs beyond 64 bits")
    events = [TABLES.event(reader) for _ in range(header["events"])]
    finish(reader)
    return {"header": header, "events": events}


# Chapter 6.

LISTS = {
    "payments": ("payment", "created_seq"),
    "tombstones": ("tombstone", "id"),
    "foreign_parts": ("foreign part", "created_seq"),
    "hashes_paid": ("hash paid", "payment_hash"),
    "blocked": ("hash", None),
    "outbox": ("unread", "seq"),
}


def ascending(items, key):
    keys = [item[key] if key else item for item in items]
    if any(a >= b for a, b in zip(keys, keys[1:])):
        raise Bad(f"a list that is not in the order of its {key or 'items'}")


def snapshot(data, secrets):
    reader = versioned(data, secrets)
    state = {"format": 1, **TABLES.type("prelude").read(reader)}
    for name, (kind, key) in LISTS.items():
        state[name] = TABLES.type(f"list of {kind}").read(reader)
        ascending(state[name], key)
    for digests in (tombstone["request"] for tombstone in state["tombstones"]):
        ascending(digests["digests"] if digests else [], "field")
    by_engines = [block["payment_hash"] + block["engine"] for block in state["blocked_by_engines"]]
    ascending(by_engines, None)
    if any(not block["engine"] for block in state["blocked_by_engines"]):
        raise Bad("a block by an engine that is not named")
    finish(reader)
    return state


def log(ledger, lines, secrets):
    """Every entry with the head after it."""
    seq, chain = 0, bytes.fromhex(ledger)
    for line in lines:
        data = bytes.fromhex(line)
        read = entry(data, secrets)
        if read["header"]["first_seq"] != seq + 1:
            raise Bad(f"an entry from seq {read['header']['first_seq']} after seq {seq}")
        seq += read["header"]["events"]
        chain = hashlib.sha256(chain + data).digest()
        yield {**read, "head": {"seq": seq, "chain": chain.hex()}}


def file(path):
    if path == "-":
        return sys.stdin.buffer.read()
    with open(path, "rb") as opened:
        return opened.read()


def main(arguments):
    secrets = arguments[:1] == ["--secrets"]
    command, *rest = arguments[secrets:] or [""]
    try:
        if command == "entry" and len(rest) == 1:
            print(json.dumps(entry(file(rest[0]), secrets)))
        elif command == "snapshot" and len(rest) == 1:
            print(json.dumps(snapshot(file(rest[0]), secrets)))
        elif command == "log" and len(rest) == 2:
            for read in log(rest[0], file(rest[1]).decode().split(), secrets):
                print(json.dumps(read))
        else:
            sys.exit(__doc__)
    except Bad as error:
        sys.exit(f"not what docs/FORMAT.md allows: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])

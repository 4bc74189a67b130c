#!/usr/bin/env python3
"""Reads what docs/FORMAT.md describes, and was written from it: an oracle, and a viewer.

    decode.py entry FILE              one entry, as JSON
    decode.py snapshot FILE           one snapshot, as JSON
    decode.py log LEDGER_ID FILE      entries as lines of hex, a line of JSON each: checks that each
                                      continues the one before, and tells the head after it

FILE may be `-`. With --secrets before the command preimages are shown. Exits with 1 and a message
if the bytes are not what the document allows.
"""

import hashlib
import json
import sys


class Bad(Exception):
    """The bytes are not what the document allows."""


class Reader:
    """Bytes, from front to back."""

    def __init__(self, data, secrets):
        self.data, self.at, self.secrets = data, 0, secrets

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Bad(f"the bytes end at {len(self.data)}, {count} more are needed at {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

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


# A type is a function from a reader to a value.


def u8(reader):
    return reader.take(1)[0]


def u16(reader):
    return reader.varint(16)


def u32(reader):
    return reader.varint(32)


def u64(reader):
    return reader.varint(64)


def boolean(reader):
    byte = u8(reader)
    if byte > 1:
        raise Bad(f"{byte} is neither no nor yes")
    return byte == 1


def raw(count):
    return lambda reader: reader.take(count).hex()


def preimage(reader):
    data = reader.take(32)
    return data.hex() if reader.secrets else "hidden"


def notification_id(reader):
    seq = u64(reader)
    return f"{seq}-{reader.take(8).hex()}"


def option(inner):
    return lambda reader: inner(reader) if boolean(reader) else None


def blob(limit):
    return lambda reader: reader.take(reader.counted(limit)).hex()


def text(limit):
    def read(reader):
        data = reader.take(reader.counted(limit))
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Bad("text that is not UTF-8") from error

    return read


def listed(inner, limit=(1 << 32) - 1):
    return lambda reader: [inner(reader) for _ in range(reader.counted(limit))]


def record(**fields):
    return lambda reader: {name: inner(reader) for name, inner in fields.items()}


def extended(more, **fields):
    """A record and a record behind it that is there only if there is anything in it: their fields
    stand side by side."""

    def read(reader):
        value = record(**fields)(reader)
        if boolean(reader):
            before = reader.at
            value |= more(reader)
            if not any(reader.data[before : reader.at]):
                raise Bad("a record that is there with nothing in it")
        return value

    return read


def enum(*variants, tag=None):
    """Variants in the order of their numbers: a name, or a name and what it holds. With a tag the
    name stands beside the fields."""

    def read(reader):
        number = u32(reader)
        if number >= len(variants):
            raise Bad(f"no variant has number {number}")
        variant = variants[number]
        name, inner = (variant, None) if isinstance(variant, str) else variant
        if tag:
            return {tag: name, **(inner(reader) if inner else {})}
        return {name: inner(reader)} if inner else name

    return read


# Chapters 1 and 5.

ID, NODE_ID, DIGEST = raw(32), raw(33), raw(8)
DEADLINE = enum(("ticks", u32), ("at", u64))
TARGET = enum(
    ("invoice", record(payment_hash=ID)),
    ("spontaneous", record(preimage=preimage)),
    ("offer", record(offer_hash=ID, deadline=DEADLINE)),
)
REQUEST = record(
    target=TARGET,
    amount=u64,
    payee=option(NODE_ID),
    max_fee=enum("unlimited", ("at_most", u64)),
    retry=enum("manual", ("attempts", u32), ("until", u64)),
    backoff=record(first_ms=u64, max_ms=u64),
    expiry=option(u64),
    instructions=blob(16384),
    metadata=blob(1024),
)
INVOICE = record(payment_hash=ID, amount=u64, expiry=option(u64))
KIND = enum(("htlc", record(cltv_expiry=option(u32), first_channel=option(u64))), "delegated")
LABEL = option(record(engine=blob(64), mark=option(u64)))
TERMS = record(id=ID, amount=u64, fee=u64, kind=KIND, label=LABEL)
ADOPTED = record(part=ID, payment_hash=ID, amount=option(u64), fee=option(u64), kind=KIND)
SETTLEMENT = record(amount=option(u64), fee=option(u64))
ASSERTION = record(by=text(64), why=text(512), although_listed=boolean)
FAILURE = record(
    permanent=boolean,
    channel=option(u64),
    code=option(u16),
    lost=option(u64),
    mark=option(u64),
    sayings=u32,
    retry_after_ms=option(u64),
    assertion=option(ASSERTION),
)
OBSERVATION = record(
    part=ID, kind=enum("path_succeeded", "path_failed", ("other", u8)), bytes=blob(512)
)
REASON = enum(
    "user_abandoned",
    "recipient_rejected",
    "retries_exhausted",
    "payment_expired",
    "invoice_request_expired",
    "route_not_found",
    "unexpected_error",
    "adopted",
    "paid_elsewhere",
)
PAID_ELSEWHERE = record(payer=option(ID), proven=boolean)
ANOMALY = enum(
    ("correction", record(payment=ID, part=ID, in_flight=listed(ID, 1024))),
    ("unknown_part", record(payment=ID, part=ID)),
    ("foreign_claim", record(payment=ID, part=ID, payment_hash=ID)),
    ("stray", record(payment=ID, part=ID, payment_hash=ID)),
    ("out_again", record(payment=ID, part=ID, others=listed(ID, 1024))),
    (
        "paid_twice",
        record(payment=ID, part=ID, first_payment=option(ID), first_part=option(ID)),
    ),
    ("spent_more", record(payment=ID, part=ID, amount=option(u64), fee=option(u64))),
    ("paid_with_another", record(payment=ID, named=ID)),
    ("false_preimage", record(payment=ID, part=ID, payment_hash=ID)),
    tag="anomaly",
)

# Chapter 4.

EVENT = enum(
    ("opened", record(epoch=u64, restored=boolean, program=text(64))),
    "recovered",
    "gap_found",
    "gap_closed",
    ("ticked", record(tick=u64, reference=u64, unfinished=boolean, doubted=option(u64))),
    ("height_told", record(height=u32)),
    ("payment_accepted", record(id=ID, request=REQUEST, again_after=option(notification_id))),
    ("payment_adopted", record(id=ID, payment_hash=option(ID), request=option(REQUEST))),
    ("payment_recalled", record(id=ID)),
    ("invoice_received", record(id=ID, invoice=INVOICE)),
    ("invoice_dropped", record(id=ID)),
    ("parts_dispatched", record(id=ID, attempt=u32, parts=listed(TERMS, 256))),
    ("part_said_again", record(id=ID, part=ID)),
    ("parts_listed", record(parts=listed(ID, 4096))),
    ("part_withdrawn", record(id=ID, part=ID)),
    (
        "part_adopted",
        record(
            id=ID,
            part=ADOPTED,
            home=enum("payment", ("hash_holder", record(told_as=ID)), "stray"),
            word=enum("listed", "claimed"),
            earlier_try=boolean,
        ),
    ),
    ("part_moved", record(id=ID, part=ID)),
    ("part_disowned", record(id=ID, part=ID, assertion=ASSERTION)),
    (
        "part_claimed",
        record(
            id=ID,
            part=ID,
            preimage=option(preimage),
            payment_hash=option(ID),
            settlement=option(SETTLEMENT),
        ),
    ),
    ("part_finalized", record(id=ID, part=ID, notify=boolean)),
    ("part_failed", record(id=ID, part=ID, failure=FAILURE, notify=boolean, rest_ms=u64)),
    ("part_observed", record(id=ID, observation=OBSERVATION)),
    ("preimage_learned", record(id=ID, payment_hash=ID, preimage=preimage)),
    (
        "payment_sent",
        record(
            id=ID,
            payment_hash=option(ID),
            amount=option(u64),
            fee=option(u64),
            correction=boolean,
            assertion=option(ASSERTION),
        ),
    ),
    ("payment_settled", record(id=ID, amount=option(u64), fee=option(u64))),
    ("paid_elsewhere", record(id=ID, by=PAID_ELSEWHERE)),
    ("payment_abandoned", record(id=ID, reason=REASON)),
    ("payment_failed", record(id=ID, reason=REASON)),
    ("payment_forgotten", record(id=ID, remembered=boolean)),
    ("hash_held", record(payment_hash=ID)),
    ("hash_released", record(payment_hash=ID)),
    ("hash_paid", record(payment_hash=ID, preimage=option(preimage), payer=option(ID))),
    ("hash_forgotten", record(payment_hash=ID)),
    (
        "anomaly_noted",
        record(anomaly=ANOMALY, delivery=enum("notify", ("repeat", u64), "folded")),
    ),
    ("acknowledged", record(seq=u64)),
    tag="event",
)

# Chapter 6.

PART = extended(
    record(
        named_id=option(ID),
        payment_hash=option(ID),
        preimage=option(preimage),
        failure=option(FAILURE),
        earlier_try=boolean,
        listed_in=u64,
        withdrawn_in=u64,
        label=LABEL,
        said_again=u32,
    ),
    id=ID,
    amount=option(u64),
    fee=option(u64),
    kind=KIND,
    fate=enum("in_flight", "claimed", "finalized", "failed", "withdrawn"),
    batch=u32,
    epoch=u64,
    recorded_at=u64,
    adopted=boolean,
    corrected=boolean,
)
TRIES = listed(
    record(
        payment_hash=option(ID),
        named_seq=option(u64),
        paid=boolean,
        preimage=option(preimage),
        parts=listed(record(digest=DIGEST, settled=boolean)),
    )
)
DIGESTS = record(
    target=DIGEST,
    amount=DIGEST,
    payee=DIGEST,
    max_fee=DIGEST,
    retry=DIGEST,
    expiry=DIGEST,
    instructions=DIGEST,
    metadata=DIGEST,
)
STATUS = enum(
    "awaiting_invoice",
    "pending",
    "fulfilled",
    ("abandoned", record(reason=REASON)),
    ("failed", record(reason=REASON)),
    tag="status",
)
MOMENT = option(record(at=u64, tick=u64))
PAYMENT = record(
    id=ID,
    created_seq=u64,
    created_at=u64,
    terms=enum(
        ("full", record(request=REQUEST, instructions=option(DIGEST))), ("digests", DIGESTS), "none"
    ),
    payment_hash=option(ID),
    preimage=option(preimage),
    proven_hash=option(ID),
    own_hash_paid=boolean,
    status=STATUS,
    status_seq=u64,
    amount=option(u64),
    expiry=option(u64),
    waits_until=option(enum(("tick", u64), ("at", u64))),
    invoice=option(INVOICE),
    parts=listed(PART),
    former=TRIES,
    batches=u32,
    unread=u32,
    failed_notice=option(notification_id),
    failure_superseded=boolean,
    quiet=option(record(tick=u64, seq=u64)),
    verdict_due=enum("no", "yes", "part_failed"),
    observations=listed(OBSERVATION),
    reported=option(SETTLEMENT),
    remembered=option(SETTLEMENT),
    told=option(record(amount=option(u64), fee=option(u64), proof=boolean)),
    asserted=option(ASSERTION),
    paid_elsewhere=option(PAID_ELSEWHERE),
    retries_since=MOMENT,
    rests_until=MOMENT,
)
OUTCOME = enum(
    (
        "paid",
        record(
            preimage=option(preimage),
            proven_hash=option(ID),
            amount=option(u64),
            fee=option(u64),
        ),
    ),
    (
        "failed",
        record(reason=REASON, notice=notification_id, paid_elsewhere=option(PAID_ELSEWHERE)),
    ),
)
TOMBSTONE = record(
    id=ID,
    accepted_seq=u64,
    payment_hash=option(ID),
    outcome=OUTCOME,
    request=option(DIGESTS),
    tries=TRIES,
)
STRAY = record(
    created_seq=u64,
    payment=ID,
    payment_hash=ID,
    preimage=option(preimage),
    part=PART,
    disowned=boolean,
)
HASH_PAID = record(
    created_seq=u64,
    payment_hash=ID,
    preimage=option(preimage),
    idle_since=option(u64),
)
CONTENT = enum(
    ("sent", record(payment=ID, amount=option(u64), fee=option(u64), correction=boolean)),
    ("settled", record(payment=ID, amount=option(u64), fee=option(u64))),
    (
        "failed",
        record(
            payment=ID,
            hash=option(ID),
            reason=REASON,
            superseded=boolean,
            paid_elsewhere=option(PAID_ELSEWHERE),
        ),
    ),
    ("part_succeeded", record(payment=ID, part=ID)),
    ("part_failed", record(payment=ID, part=ID, failure=FAILURE)),
    ("anomaly", record(anomaly=ANOMALY, repeats=u32)),
)
SNAPSHOT = record(
    format=u8,
    ledger=ID,
    seq=u64,
    chain=ID,
    epoch=u64,
    recovering=boolean,
    recovery_since=u64,
    gap=boolean,
    misfit=option(u64),
    tick=u64,
    tick_reference=option(u64),
    tick_unfinished=boolean,
    tick_doubted=option(u64),
    first_reading=u64,
    height=option(u32),
    anomalies_unread=u32,
    anomalies_folded=u64,
    payments=listed(PAYMENT),
    tombstones=listed(TOMBSTONE),
    strays=listed(STRAY),
    hashes_paid=listed(HASH_PAID),
    held=listed(ID),
    outbox=listed(record(seq=u64, chain=DIGEST, content=CONTENT)),
)
HEADER = record(format=u8, first_seq=u64, now=u64, epoch=u64, events=u32)


def check_version(data):
    if not data:
        raise Bad("no bytes")
    if data[0] != 1:
        raise Bad(f"version {data[0]}, this reads version 1")


def finish(reader):
    left = len(reader.data) - reader.at
    if left:
        raise Bad(f"{left} bytes are left over")


def entry(data, secrets):
    check_version(data)
    if len(data) > 1 << 20:
        raise Bad("an entry larger than 1 MiB")
    reader = Reader(data, secrets)
    header = HEADER(reader)
    if 0 in (header["events"], header["first_seq"]):
        raise Bad("an entry without events, or from seq 0")
    if header["first_seq"] + header["events"] >= 1 << 64:
        raise Bad("seqs beyond 64 bits")
    events = [EVENT(reader) for _ in range(header["events"])]
    finish(reader)
    return {"header": header, "events": events}


def ascending(items, key):
    keys = [item[key] if key else item for item in items]
    if any(a >= b for a, b in zip(keys, keys[1:])):
        raise Bad(f"a list that is not in the order of its {key or 'items'}")


def snapshot(data, secrets):
    check_version(data)
    reader = Reader(data, secrets)
    state = SNAPSHOT(reader)
    finish(reader)
    ascending(state["payments"], "created_seq")
    ascending(state["tombstones"], "id")
    ascending(state["strays"], "created_seq")
    ascending(state["hashes_paid"], "payment_hash")
    ascending(state["held"], None)
    ascending(state["outbox"], "seq")
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

#!/usr/bin/env python3
"""Signs a command and prints its headers, one `Name:value` a line, as `nats pub -H` takes them.

    sign_command.py SEED_FILE SUBJECT PAYLOAD_FILE [COMMAND_ID [ISSUED_AT_MS [EXPIRES_AT_MS]]]

Needs the package `cryptography`. The format is described in infra/docs/commands.md.
"""

import base64
import hashlib
import struct
import sys
import time
import uuid

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

USER_PREFIX = 20 << 3
LIFETIME_MS = 60 * 60 * 1000


def nkey(public_key: bytes) -> str:
    """The `U…` text of an Ed25519 public key: base32 of prefix, key and CRC-16/XMODEM."""
    raw = bytes([USER_PREFIX]) + public_key
    crc = 0
    for byte in raw:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return base64.b32encode(raw + struct.pack("<H", crc)).decode()


def seed(text: str) -> bytes:
    """The 32 bytes in an `SU…` seed, which has two prefix bytes before and a checksum behind them."""
    text = text.strip()
    return base64.b32decode(text + "=" * (-len(text) % 8))[2:34]


def part(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def main() -> None:
    seed_file, subject, payload_file, *optional = sys.argv[1:]
    with open(seed_file, encoding="ascii") as file:
        key = Ed25519PrivateKey.from_private_bytes(seed(file.read()))
    with open(payload_file, "rb") as file:
        payload = file.read()
    command_id = optional[0] if optional else str(uuid.uuid4())
    issued_at_ms = int(optional[1]) if len(optional) > 1 else time.time_ns() // 1_000_000
    expires_at_ms = int(optional[2]) if len(optional) > 2 else issued_at_ms + LIFETIME_MS
    signed = (
        b"\xffnsl-command-v1"
        + part(subject.encode())
        + part(command_id.encode())
        + part(struct.pack(">Q", issued_at_ms))
        + part(struct.pack(">Q", expires_at_ms))
        + part(hashlib.sha256(payload).digest())
    )
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    print(f"Nsl-Command-Id:{command_id}")
    print(f"Nsl-Issuer:{nkey(raw)}")
    print(f"Nsl-Issued-At-Ms:{issued_at_ms}")
    print(f"Nsl-Expires-At-Ms:{expires_at_ms}")
    print(f"Nsl-Signature:{base64.b64encode(key.sign(signed)).decode()}")


if __name__ == "__main__":
    main()

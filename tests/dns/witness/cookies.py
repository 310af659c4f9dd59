"""Cookies as another server of the zone makes them (RFC 9018)."""

import socket
import struct
import time


def siphash(key, data):
    """SipHash-2-4 (Aumasson and Bernstein, 2012)."""
    k0, k1 = struct.unpack("<QQ", key)
    v0, v1, v2, v3 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    mask = (1 << 64) - 1

    def rotate(word, bits):
        return (word << bits | word >> 64 - bits) & mask

    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 0xFF])
    for number, word in enumerate([*struct.unpack(f"<{len(padded) // 8}Q", padded), None]):
        if word is None:
            v2 ^= 0xFF
        else:
            v3 ^= word
        for _ in range(4 if word is None else 2):
            v0, v2 = (v0 + v1) & mask, (v2 + v3) & mask
            v1, v3 = rotate(v1, 13) ^ v0, rotate(v3, 16) ^ v2
            v0, v2 = (rotate(v0, 32) + v3) & mask, (v2 + v1) & mask
            v3, v1 = rotate(v3, 21) ^ v0, rotate(v1, 17) ^ v2
            v2 = rotate(v2, 32)
        if word is not None:
            v0 ^= word
    return struct.pack("<Q", v0 ^ v1 ^ v2 ^ v3)


def cookie(key, age, client=b"12345678", address="127.0.0.1"):
    """A cookie as another server of the zone makes it (RFC 9018)."""
    begin = client + b"\1\0\0\0" + struct.pack("!I", int(time.time()) - age)
    return begin + siphash(key, begin + socket.inet_aton(address))

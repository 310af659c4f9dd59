"""R20 – R26: EDNS."""

import itertools
import socket
import struct
import time

import dns.edns
import dns.flags
import dns.query
import dns.rcode

from asking import ask, code_of, edns, exchange, framed, header, NAMES, of_zone, opt, option, PORT, query, question, read, received, row, tcp
from cookies import cookie, siphash

# As in the file cookie.new and cookie.old that rows.rs writes.
NEW_KEY = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
OLD_KEY = bytes.fromhex("dd3bdf9344b678b185a6f5cb60fca715")


@row("R20", "other versions of EDNS are told ours, and nothing else")
def versions():
    all_options = [b"", option(3), option(10, b"12345678"), option(9), option(8, bytes.fromhex("00011800c00002")), option(3) + option(10, b"short")]
    for version, options, flags in itertools.product((1, 2, 100, 255), all_options, (0, 0x8000, 0x4000, 0xFFFF)):
        answer = read(exchange(header(counts=(1, 0, 0, 1)) + question() + opt(4096, version, flags, options)))
        assert answer.rcode() == dns.rcode.BADVERS and answer.edns == 0, answer
        assert not answer.answer and not answer.authority and len(answer.question) == 1, answer


@row("R21", "unknown options and flags are passed over")
def unknown_options():
    for code in (0, 1, 2, 4, 5, 6, 7, 9, 13, 14, 16, 17, 100, 26946, 65001, 65535):
        answer = ask(edns(options=[dns.edns.GenericOption(code, b"x" * 5)]))
        assert answer.rcode() == 0 and len(answer.answer) == 2 and not answer.options, answer
    for flags in (0, 0x8000, 0x4000, 0x0001, 0x7FFF, 0xFFFF):
        answer = read(exchange(header(counts=(1, 0, 0, 1)) + question() + opt(flags=flags)))
        assert answer.ednsflags & 0xFFFF == flags & 0x8000, answer


@row("R22", "OPT comes back where there was one, wherever it stood, and never two")
def opt_records():
    for name, record_type in itertools.product(NAMES, ("A", "TXT", "AXFR")):
        for use_edns in (-1, 0):
            answer = ask(query(of_zone(name), record_type, use_edns=use_edns))
            assert answer.edns == use_edns, answer
    address = b"\1x\0" + struct.pack("!HHIH", 1, 1, 0, 4) + b"abcd"
    for extra in ([address, opt()], [opt(), address], [address, opt(), address]):
        answer = read(exchange(header(counts=(1, 0, 0, len(extra))) + question() + b"".join(extra)))
        assert answer.edns == 0 and len(answer.answer) == 2, answer
    for extra in ([opt(), opt()], [opt(owner=b"\1x\0")], [opt(), address, opt()], [opt(owner=b"\xc0\x0c")]):
        assert code_of(exchange(header(counts=(1, 0, 0, len(extra))) + question() + b"".join(extra))) == dns.rcode.FORMERR


@row("R23", "no datagram is larger than it may be, and no set is cut")
def sizes():
    # 200 addresses are 3,200 bytes, and the texts of `text` 900.
    for size in (None, 0, 1, 511, 512, 513, 600, 1000, 1231, 1232, 1233, 1432, 4096, 65535):
        limit = 512 if size is None else min(max(size, 512), 1232)
        for name, record_type, need in (("many", 1, 3300), ("text", 16, 1000)):
            rest, counts = (b"", (1, 0, 0, 0)) if size is None else (opt(size, options=option(3) + option(10, b"12345678")), (1, 0, 0, 1))
            wire = exchange(header(counts=counts) + question(of_zone(name), record_type) + rest)
            assert len(wire) <= limit, (size, len(wire))
            answer = read(wire)
            assert (answer.edns, answer.payload) == ((-1, 0) if size is None else (0, 1232)), answer
            is_whole = not answer.flags & dns.flags.TC
            assert is_whole == bool(answer.answer) == (need <= limit + 100 and need < 1232 and limit > 1000), (size, answer)
    assert len(dns.query.tcp(query("many.example.com"), "127.0.0.1", port=PORT, timeout=5).answer[0]) == 200


@row("R24", "who asks for the server's name is told it, whatever else is in the option")
def identity():
    for payload in (b"", b"something"):
        answer = ask(edns(options=[dns.edns.GenericOption(dns.edns.NSID, payload)]))
        assert [found.to_wire() for found in answer.options] == [b"lb-1"], answer
    assert not ask(edns()).options


@row("R25", "cookies are those of RFC 9018")
def cookies():
    def told(data, **more):
        answer = ask(edns(options=[dns.edns.GenericOption(10, data)]), **more)
        assert answer.rcode() == 0 and len(answer.answer) == 2, answer
        (found,) = answer.options
        assert len(found.server) == 16, answer
        return found.client + found.server

    def is_ours(made, begin, address="127.0.0.1"):
        assert made[:12] == begin + b"\1\0\0\0" and abs(struct.unpack("!I", made[12:16])[0] - time.time()) < 5, made
        assert made[16:] == siphash(NEW_KEY, made[:16] + socket.inet_aton(address)), made

    for length in (*range(8), *range(9, 16), 41, 64):
        wire = header(counts=(1, 0, 0, 1)) + question() + opt(options=option(10, b"x" * length))
        assert code_of(exchange(wire)) == dns.rcode.FORMERR, length
    is_ours(told(b"abcdefgh"), b"abcdefgh")
    for fresh in (0, 1, 1700, -200):
        assert told(cookie(NEW_KEY, fresh)) == cookie(NEW_KEY, fresh), fresh
    # Renewed; too old; of tomorrow; of the key before; of no key; of somebody else; of another length.
    for sent in (cookie(NEW_KEY, 1900), cookie(NEW_KEY, 3700), cookie(NEW_KEY, -400), cookie(OLD_KEY, 0), cookie(b"x" * 16, 0), cookie(NEW_KEY, 0, address="127.0.0.2"), b"12345678" + b"x" * 8, b"12345678" + b"x" * 32):
        is_ours(told(sent), b"12345678")
    is_ours(told(b"abcdefgh", source="127.0.0.9"), b"abcdefgh", "127.0.0.9")
    with tcp() as stream:
        stream.sendall(framed(edns(options=[dns.edns.GenericOption(10, b"12345678" + b"x" * 16)]).to_wire()))
        assert len(read(received(stream)).answer) == 2


@row("R26", "nothing is said of connections or padding over UDP")
def keepalive():
    answer = ask(edns(options=[dns.edns.GenericOption(11, b""), dns.edns.GenericOption(12, bytes(64))]))
    assert answer.rcode() == 0 and not answer.options, answer

"""R1 – R7: headers, and what cannot be read."""

import itertools
import socket
import struct

import dns.edns
import dns.rcode

from asking import ask, code_of, datagrams, exchange, header, LUCK, NAMES, of_zone, opt, option, PORT, query, question, read, records, row, SERVER, silent, sniffer, TYPES
from cookies import cookie


@row("R1", "what is no query is not answered")
def no_query():
    whole = query("www.example.com").to_wire()
    responses = [whole[:2] + bytes([flags | 0x80]) + whole[3:] for flags in range(0, 0x80, 3)]
    silent(b"", whole[:1], whole[:11], *responses)
    # From the port 0, which only a raw socket sends from.
    with sniffer() as seen, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        raw.sendto(struct.pack("!4H", 0, PORT, 8 + len(whole), 0) + whole, SERVER)
        ask(query("www.example.com"))
        # Ours are seen twice, leaving and coming.
        to = [destination for _, destination, _ in datagrams(seen)]
        assert len(to) >= 1 and 0 not in to, to


@row("R2", "one question, or none with a cookie")
def one_question():
    assert code_of(exchange(header(counts=(0, 0, 0, 0)))) == dns.rcode.FORMERR
    assert code_of(exchange(header(counts=(2, 0, 0, 0)) + question() * 2)) == dns.rcode.FORMERR
    assert code_of(exchange(header(counts=(0, 0, 0, 1)) + opt())) == dns.rcode.FORMERR
    answer = read(exchange(header(counts=(0, 0, 0, 1)) + opt(options=option(10, b"12345678"))))
    assert answer.rcode() == dns.rcode.NOERROR and not answer.question, answer
    assert [type(found) for found in answer.options] == [dns.edns.CookieOption], answer


@row("R3", "unknown operations are not implemented, whatever the flags are")
def other_operations():
    for opcode in [1, 2, 3, *range(6, 16)]:
        for flags in range(0, 0x800, 0x10):
            for wire in (header(opcode << 11 | flags, (0, 0, 0, 0)), header(opcode << 11 | flags) + question()):
                answer = exchange(wire)
                assert code_of(answer) == dns.rcode.NOTIMP, (opcode, flags)
                assert answer[2] >> 3 & 0xF == opcode, (opcode, flags)


@row("R4", "RD and CD come back, no other flag does")
def flags():
    for flags in range(0, 0x800, 0x10):
        answer = exchange(header(flags) + question())
        assert struct.unpack("!H", answer[2:4])[0] == 0x8400 | flags & 0x0110, hex(flags)


@row("R5", "the question comes back byte for byte")
def same_question():
    for name in ("www.example.com", "nowhere.example.com", "x.cut.example.com", "geo.example.com", "a.wild.example.com", "example.org"):
        for _ in range(20):
            asked = question("".join(LUCK.choice((letter.lower(), letter.upper())) for letter in name))
            for rest, counts in ((b"", (1, 0, 0, 0)), (opt(), (1, 0, 0, 1)), (opt(version=1), (1, 0, 0, 1)), (b"?", (1, 0, 0, 0))):
                answer = exchange(header(counts=counts) + asked + rest)
                assert answer[12 : 12 + len(asked)] == asked and answer[4:6] == b"\0\1", answer


@row("R6", "nothing stands behind the last record, or twice; a set has one TTL")
def clean():
    for name, record_type in itertools.product(NAMES, TYPES):
        for wire in (header() + question(of_zone(name), record_type), header(counts=(1, 0, 0, 1)) + question(of_zone(name), record_type) + opt()):
            answer = read(exchange(wire))
            for section in (answer.answer, answer.authority, answer.additional):
                texts = records(section)
                assert len(texts) == len(set(texts)), answer
                ttls = {(rrset.name, rrset.rdtype): rrset.ttl for rrset in section}
                assert all(ttls[rrset.name, rrset.rdtype] == rrset.ttl for rrset in section), answer


@row("R7", "what cannot be read is refused or dropped, and never made more of")
def malformed():
    label = b"\x3f" + b"a" * 63
    tail = b"\0\1\0\1"
    names = [b"\xc0\x0c", b"\xc0\x0e", b"\xc0\xff", b"\x03www\xc0\x0c", b"\x40" + b"a" * 64 + b"\0", b"\x80a\0", label * 4 + b"\0", b"\x03ww", b""]
    wires = [header() + name + tail for name in names]
    wires += [header() + question() + b"trailing", header() + question()[:-1], header(counts=(1, 9, 9, 9)) + question()]
    wires += [header(counts=(1, 0, 0, 1)) + question() + opt()[:-1], header(counts=(1, 0, 0, 1)) + question() + opt(options=b"\0\3\0\5x")]
    wires += [header(counts=(1, 0, 0, 1)) + question() + b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 9)]
    for wire in wires:
        answer = exchange(wire)
        assert code_of(answer) == dns.rcode.FORMERR and len(answer) <= len(wire) + 11, (wire, answer)
        read(answer)

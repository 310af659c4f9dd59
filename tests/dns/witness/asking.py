"""How questions are put, and answers read."""

import random
import socket
import struct
import sys

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype


import dns.rdatatype

PORT = int(sys.argv[1])
SERVER = ("127.0.0.1", PORT)
ROWS = []
LUCK = random.Random(1)
OPT, SOA, A, AAAA, NS, CNAME = (dns.rdatatype.from_text(text) for text in ("OPT", "SOA", "A", "AAAA", "NS", "CNAME"))


def row(name, what):
    def remember(check):
        ROWS.append((name, what, check))
        return check

    return remember


NAMES = """@ ns1 www alias further dangling out one other x.wild *.wild a.b.wild there.wild x.there.wild below.there.wild x.aliases empty
deep.empty cut ns.cut x.cut signed x.signed many text service _sip._udp _udp geo part tailored twice sticky weighted nowhere x.nowhere inner
ns1.inner x.inner""".split()
TYPES = [1, 2, 5, 6, 12, 13, 15, 16, 28, 33, 35, 39, 43, 46, 47, 48, 50, 52, 64, 65, 99, 128, 253, 254, 255, 257, 666, 65280, 65534]


def of_zone(name):
    return "example.com" if name == "@" else f"{name}.example.com"


def udp(address="127.0.0.1", source=None):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    asker = socket.socket(family, socket.SOCK_DGRAM)
    if source:
        asker.bind((source, 0))
    # Nothing that comes from another address is received.
    asker.connect((address, PORT))
    asker.settimeout(5)
    return asker


def query(name, record_type="A", **more):
    return dns.message.make_query(name, record_type, **more)


def edns(name="www.example.com", record_type="A", options=(), **more):
    return query(name, record_type, use_edns=0, options=list(options), **more)


def read(wire):
    """Strictly: nothing may follow, and records stay as they are."""
    return dns.message.from_wire(wire, one_rr_per_rrset=True, ignore_trailing=False)


def exchange(wire, asker=None):
    """The answer as bytes."""
    with asker or udp() as asker:
        asker.send(wire)
        return asker.recv(65535)


def ask(message, **more):
    """The answer, which is one to this query."""
    with udp(**more) as asker:
        asker.send(message.to_wire())
        answer = read(asker.recv(65535))
    assert message.is_response(answer), answer
    return answer


def silent(*wires):
    """Nothing is said to these: the first answer is that to what is asked behind them."""
    probe = query("www.example.com", id=0x7357)
    with udp() as asker:
        for wire in wires:
            asker.send(wire)
        asker.send(probe.to_wire())
        answer = asker.recv(65535)
    assert answer[:2] == b"\x73\x57", f"{answer.hex()} to one of {[wire.hex() for wire in wires]}"


def header(flags=0x0100, counts=(1, 0, 0, 0), identity=0xABCD):
    return struct.pack("!6H", identity, flags, *counts)


def question(name="www.example.com", record_type=1, record_class=1):
    return dns.name.from_text(name).to_wire() + struct.pack("!HH", record_type, record_class)


def opt(size=1232, version=0, flags=0, options=b"", owner=b"\0"):
    return owner + struct.pack("!HHBBHH", 41, size, 0, version, flags, len(options)) + options


def option(code, data=b""):
    return struct.pack("!HH", code, len(data)) + data


def code_of(wire):
    """The response code of an answer in bytes, without EDNS."""
    return wire[3] & 0xF


def records(section):
    return sorted(rrset.to_text() for rrset in section)


def is_no_data(answer, zone="example.com.", code=dns.rcode.NOERROR):
    assert answer.rcode() == code, answer
    assert not answer.answer and answer.flags & dns.flags.AA, answer
    assert [(rrset.name.to_text(), rrset.rdtype) for rrset in answer.authority] == [(zone, SOA)], answer


def subnet(text, **more):
    address, bits = text.split("/")
    return dns.edns.ECSOption(address, int(bits), **more)


def scope_of(answer):
    (found,) = [option for option in answer.options if option.otype == dns.edns.ECS]
    return found.scopelen


def tcp():
    stream = socket.create_connection(SERVER, timeout=5)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def framed(wire):
    return struct.pack("!H", len(wire)) + wire


def received(stream):
    def exactly(count):
        data = b""
        while len(data) < count:
            more = stream.recv(count - len(data))
            assert more, "the connection ended"
            data += more
        return data

    return exactly(*struct.unpack("!H", exactly(2)))


def sniffer():
    """What passes the loopback interface from now on."""
    seen = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    seen.bind(("lo", 0))
    seen.setblocking(False)
    return seen


def datagrams(seen):
    """UDP from the server: its flags of fragments, the port it goes to, its length."""
    found = []
    try:
        while True:
            packet = seen.recv(65535)
            start = (packet[0] & 0xF) * 4
            if packet[9] == socket.IPPROTO_UDP:
                source, destination, length = struct.unpack("!3H", packet[start : start + 6])
                if source == PORT:
                    found.append((packet[6] >> 5, destination, length))
    except BlockingIOError:
        return found

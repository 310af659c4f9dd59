"""R27 – R31: subnets of clients (RFC 7871)."""

import itertools
import socket
import struct

import dns.edns
import dns.rcode

from asking import ask, code_of, edns, exchange, header, LUCK, NAMES, of_zone, opt, option, question, row, scope_of, subnet


@row("ECS", "a client subnet that cannot be one is refused")
def wrong_subnets():
    wrong = ["", "00", "0001", "000118", "00031800c00002", "00001800c00002", "00012100c000020101", "00028100" + "20" * 17, "00011800c000", "00011800c0000201", "00011800", "00011700c00003", "00011818c00002", "000100ff", "00020100ff"]
    for data in wrong:
        wire = header(counts=(1, 0, 0, 1)) + question("geo.example.com") + opt(options=option(8, bytes.fromhex(data)))
        assert code_of(exchange(wire)) == dns.rcode.FORMERR, data
    for data in ("00010000", "00020000", "00012000c0000201", "00011500c00000", "00028000" + "20" * 16):
        wire = header(counts=(1, 0, 0, 1)) + question("geo.example.com") + opt(options=option(8, bytes.fromhex(data)))
        assert code_of(exchange(wire)) == dns.rcode.NOERROR, data


SUBNETS = ["192.0.2.0/24", "192.0.2.128/25", "198.51.100.128/32", "10.0.0.0/8", "128.0.0.0/1", "2001:db8::/32", "2001:db8:1::/48", "2a00::/7", "::/1", "0.0.0.0/0", "::/0"]


@row("R27", "a subnet comes back as it was sent; static answers are for everybody")
def subnets():
    for network, name in itertools.product(SUBNETS, ("www", "geo", "nowhere", "alias", "sticky", "weighted", "x.cut", "x.wild", "@")):
        sent = subnet(network)
        answer = ask(edns(of_zone(name), "A", [sent]))
        (found,) = answer.options
        assert (found.family, found.srclen, found.addrdata) == (sent.family, sent.srclen, sent.addrdata), answer
        if name not in ("geo", "sticky") or network.endswith("/0"):
            assert found.scopelen == 0, answer
    # By whom the resolver is: 127.0.0.7 is in eu.
    for options in ([], [subnet("0.0.0.0/0")]):
        for source, expected in (("127.0.0.7", "203.0.113.1"), ("127.0.0.8", "203.0.113.2")):
            answer = ask(edns("geo.example.com", "A", options), source=source)
            assert answer.answer[0][0].address == expected, answer


@row("R28", "a scope is for all who get the same, and never longer than what was told")
def scopes():
    def check(network, address, scope, record_type="A"):
        answers = [ask(edns("geo.example.com", record_type, [subnet(network)])) for _ in range(3)]
        for answer in answers:
            assert (answer.answer[0][0].address, scope_of(answer)) == (address, scope), (network, answer)

    eu, us = "203.0.113.1", "203.0.113.2"
    check("192.0.2.0/24", eu, 24)
    check("192.0.2.77/32", eu, 24)
    check("192.0.3.0/24", us, 24)
    check("198.51.100.128/25", eu, 25)
    check("198.51.100.0/25", us, 25)
    check("2001:db8:7::/48", "2001:db8:e::1", 32, "AAAA")
    # Behind it are several: the greater part decides, and nothing longer is said than was told.
    check("198.51.100.0/24", us, 24)
    check("192.0.2.0/23", us, 23)
    check("192.0.0.0/8", us, 8)
    # No scope is within another, whatever subnets are told.
    found = {}
    for _ in range(2000):
        base = LUCK.choice(((192, 0), (198, 51), (LUCK.randrange(1, 224), LUCK.randrange(256))))
        network = "{}.{}.{}.{}/32".format(*base, LUCK.choice((2, 3, 100, 101, LUCK.randrange(256))), LUCK.randrange(256))
        answer = ask(edns("geo.example.com", "A", [subnet(network)]))
        scope = scope_of(answer)
        (bits,) = struct.unpack("!I", socket.inet_aton(network.split("/")[0]))
        prefix = (bits >> 32 - scope if scope else 0, scope)
        assert found.setdefault(prefix, answer.answer[0][0].address) == answer.answer[0][0].address, network
    for bits, length in found:
        assert not any((bits >> shift, length - shift) in found for shift in range(1, length)), (bits, length)


@row("R29", "whatever is answered, the subnet comes back: no cache takes this server for one that knows none")
def always_subnets():
    for name, record_type in itertools.product([*map(of_zone, NAMES), "example.org", "inner.example.com"], ("A", "SOA", "NS", "TYPE666", "ANY", "AXFR")):
        answer = ask(edns(name, record_type, [subnet("192.0.2.0/24")]))
        assert [found for found in answer.options if found.otype == dns.edns.ECS], answer


@row("R30", "that a name is not there holds for every client")
def same_for_all():
    for name in NAMES:
        for record_type in ("A", "TXT"):
            codes = {ask(edns(of_zone(name), record_type, [subnet(network)])).rcode() for network in SUBNETS}
            assert len(codes) == 1, (name, codes)


@row("R31", "a sticky answer is for the network that it sticks to")
def sticky():
    for _ in range(50):
        first = "10.{}.{}.0".format(LUCK.randrange(256), LUCK.randrange(16) * 16)
        networks = [f"{first}/24", f"{first}/32", f"{first}/20", f"{first[:-1]}255/32"]
        answers = [ask(edns("sticky.example.com", "A", [subnet(network)])) for network in networks]
        assert {scope_of(answer) for answer in answers} == {20}, answers
        assert len({answer.answer[0][0].address for answer in answers}) == 1, answers
    short = ask(edns("sticky.example.com", "A", [subnet("10.0.0.0/8")]))
    assert scope_of(short) == 8, short

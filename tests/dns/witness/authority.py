"""R8 – R19: what there is, and what there is not."""

import itertools
import struct

import dns.flags
import dns.opcode
import dns.rcode

from asking import A, AAAA, ask, CNAME, code_of, edns, exchange, framed, header, is_no_data, NAMES, NS, of_zone, query, question, received, records, row, scope_of, SOA, subnet, tcp

DIGEST = "d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"


@row("R8", "outside of all zones everything is refused")
def refused():
    for name in (".", "com", "org", "example.org", "wwwexample.com", "www.example.com.org", "xexample.com"):
        answer = ask(query(name))
        assert answer.rcode() == dns.rcode.REFUSED and not answer.flags & dns.flags.AA, answer
        assert not answer.answer and not answer.authority and not answer.additional, answer


@row("R9", "a name without the type is no missing name")
def no_such_type():
    for name in ("www", "geo", "twice", "sticky", "weighted", "many", "x.wild", "service", "_sip._udp", "ns1"):
        has = {"www": [A, AAAA, 16], "geo": [A, AAAA], "ns1": [A, AAAA], "service": [65, 666, 52, 257], "_sip._udp": [33], "twice": [A, 33]}.get(name, [A])
        for record_type in (A, NS, CNAME, 12, 15, 16, AAAA, 33, 35, 52, 64, 65, 257, 666):
            if record_type not in has:
                is_no_data(ask(query(of_zone(name), record_type)))
    # What a policy has for one region and not for another.
    is_no_data(ask(query("part.example.com", "A")))
    assert ask(query("part.example.com", "AAAA")).answer


@row("R10", "a name above others is there; DS is answered above a delegation")
def empty_names():
    for name in ("empty", "there.wild", "_udp", "wild", "aliases"):
        for record_type in ("A", "NS", "TXT", "SOA", "ANY"):
            is_no_data(ask(query(of_zone(name), record_type)))
    is_no_data(ask(query("cut.example.com", "DS")))
    answer = ask(query("signed.example.com", "DS"))
    assert records(answer.answer) == [f"signed.example.com. 300 IN DS 1 8 2 {DIGEST}"] and answer.flags & dns.flags.AA, answer


@row("R11", "SOA and NS are at every apex; that there is none holds as long as the SOA says")
def apexes():
    for zone, ttl, negative in (("example.com.", 300, 60), ("inner.example.com.", 30, 30)):
        for record_type in (SOA, NS):
            answer = ask(query(zone, record_type))
            assert [(rrset.rdtype, rrset.ttl) for rrset in answer.answer] == [(record_type, ttl)], answer
            assert answer.flags & dns.flags.AA
        for name, code in ((f"nowhere.{zone}", dns.rcode.NXDOMAIN), (f"ns1.{zone}", dns.rcode.NOERROR)):
            answer = ask(query(name, "MX"))
            is_no_data(answer, zone, code)
            assert answer.authority[0].ttl == negative, answer


@row("R12", "every type is answered, and not with the same")
def unknown_types():
    assert records(ask(query("service.example.com", "TYPE666")).answer) == [r"service.example.com. 300 IN TYPE666 \# 3 010203"]
    assert len(ask(query("service.example.com", "TLSA")).answer) == 1
    has = {"www.example.com": {A, AAAA, 16, 255}, "geo.example.com": {A, AAAA, 255}}
    for name, known in has.items():
        for record_type in set(range(1, 300)) | {666, 32768, 32769, 65280, 65534, 65535}:
            # OPT is no question, and transfers are refused.
            if record_type in (41, 251, 252):
                continue
            answer = ask(query(name, record_type))
            assert answer.flags & dns.flags.AA, answer
            if record_type not in known:
                is_no_data(answer)


@row("R13", "an alias answers for every type, and is followed within the zone unless it is tailored")
def aliases():
    www = ["www.example.com. 300 IN A 192.0.2.1", "www.example.com. 300 IN A 192.0.2.2"]
    alias = "alias.example.com. 300 IN CNAME www.example.com."
    further = "further.example.com. 300 IN CNAME alias.example.com."
    assert records(ask(query("alias.example.com")).answer) == [alias, *www]
    assert records(ask(query("further.example.com")).answer) == sorted([further, alias, *www])
    for record_type in ("CNAME", "ANY"):
        assert records(ask(query("alias.example.com", record_type)).answer) == [alias]
    for record_type in ("MX", "HTTPS", "TYPE666", "NS", "SOA"):
        answer = ask(query("alias.example.com", record_type))
        assert records(answer.answer) == [alias] and answer.rcode() == 0, answer
        assert [rrset.rdtype for rrset in answer.authority] == [SOA], answer
    for record_type in ("RRSIG", "NSEC"):
        for name in ("alias", "tailored", "x.aliases"):
            is_no_data(ask(query(of_zone(name), record_type)))
    # It ends, and the code is that of the last name (RFC 6604).
    dangling = ask(query("dangling.example.com"))
    assert dangling.rcode() == dns.rcode.NXDOMAIN and len(dangling.answer) == 1 and dangling.authority[0].rdtype == SOA, dangling
    assert records(ask(query("one.example.com")).answer) == ["one.example.com. 300 IN CNAME other.example.com."]
    # Into another zone of this server, and to nowhere.
    assert records(ask(query("out.example.com")).answer) == ["out.example.com. 300 IN CNAME www.example.org."]
    for network, target in (("192.0.2.0/24", "www.example.com."), ("192.0.3.0/24", "www.example.org.")):
        for record_type in ("A", "AAAA", "MX", "CNAME"):
            answer = ask(edns("tailored.example.com", record_type, [subnet(network)]))
            assert records(answer.answer) == [f"tailored.example.com. 60 IN CNAME {target}"], answer
            assert scope_of(answer) == 24, answer


@row("R14", "wildcards stand for what is not there; delegations for what others know")
def wildcards_and_delegations():
    for name in ("x.wild", "a.b.wild", "a.b.c.d.e.f.wild", "*.wild", "X.wIlD"):
        answer = ask(query(of_zone(name)))
        assert [rrset.to_text().lower() for rrset in answer.answer] == [f"{of_zone(name).lower()}. 300 in a 192.0.2.3"], answer
    # What is there goes before, and what is above it stops the wildcard.
    for name in ("there.wild", "below.there.wild"):
        answer = ask(query(of_zone(name), "MX"))
        is_no_data(answer)
    for name in ("x.there.wild", "x.below.there.wild", "a.*.wild"):
        is_no_data(ask(query(of_zone(name))), code=dns.rcode.NXDOMAIN)
    assert records(ask(query("x.y.aliases.example.com")).answer)[-1] == "x.y.aliases.example.com. 300 IN CNAME www.example.com."
    glue = ["ns.cut.example.com. 300 IN A 192.0.2.5"]
    servers = ["cut.example.com. 300 IN NS ns.cut.example.com.", "cut.example.com. 300 IN NS ns.example.org."]
    for name, record_type in itertools.product(("cut", "x.cut", "ns.cut", "*.cut", "a.b.c.cut"), ("A", "NS", "SOA", "TXT", "ANY")):
        answer = ask(query(of_zone(name), record_type))
        assert answer.rcode() == 0 and not answer.flags & dns.flags.AA and not answer.answer, answer
        assert (records(answer.authority), records(answer.additional)) == (servers, glue), answer
    assert not ask(query("x.signed.example.com")).additional


@row("R15", "nothing is below a name that is not there")
def nothing_below():
    for name in NAMES:
        if ask(query(of_zone(name))).rcode() == dns.rcode.NXDOMAIN:
            for below in (f"x.{name}", f"www.{name}", f"geo.a.b.{name}", f"*.{name}"):
                assert ask(query(of_zone(below), "TXT")).rcode() == dns.rcode.NXDOMAIN, below
    is_no_data(ask(query("www.www.example.com")), code=dns.rcode.NXDOMAIN)
    is_no_data(ask(query("x.geo.example.com")), code=dns.rcode.NXDOMAIN)


@row("R17", "transfers and changes are refused, and signatures of keys that nobody knows")
def transfers():
    for record_type in ("AXFR", "IXFR"):
        for wire in (query("example.com", record_type).to_wire(), edns("example.com", record_type).to_wire()):
            assert code_of(exchange(wire)) == dns.rcode.REFUSED
            with tcp() as stream:
                stream.sendall(framed(wire))
                assert code_of(received(stream)) == dns.rcode.REFUSED
    for opcode, allowed in ((dns.opcode.NOTIFY, (0, dns.rcode.REFUSED)), (dns.opcode.UPDATE, (dns.rcode.REFUSED, dns.rcode.NOTIMP))):
        wire = header(opcode << 11) + question("example.com", 6)
        assert code_of(exchange(wire)) in allowed
    key = b"\1k\0" + struct.pack("!HHIH", 250, 255, 0, 16 + 13) + b"\x0bhmac-sha256\0" + struct.pack("!HIHHHHH", 0, 1, 300, 0, 1, 0, 0)[:16]
    answer = exchange(header(counts=(1, 0, 0, 1)) + question() + key)
    assert code_of(answer) == dns.rcode.NOTAUTH
    # RFC 8945 §5.2.1: BADKEY, and no signature.
    assert answer.endswith(key[:-4] + struct.pack("!HH", 17, 0)), answer


@row("R18", "other classes are refused, and nobody is told the version")
def classes():
    for record_class in (0, 2, 3, 4, 254, 255, 65535):
        for name in ("www.example.com", "version.bind", "hostname.bind", "id.server"):
            answer = exchange(header() + question(name, 16, record_class))
            assert code_of(answer) == dns.rcode.REFUSED and answer[6:12] == bytes(6), answer


@row("R19", "who wants everything gets little, over UDP, and not nothing")
def everything():
    for name in ("www", "many", "text", "geo", "x.wild", "@"):
        answer = ask(query(of_zone(name), "ANY"))
        assert not answer.flags & dns.flags.TC and len(answer.answer) == 1, answer
        assert len(answer.to_wire()) <= 512

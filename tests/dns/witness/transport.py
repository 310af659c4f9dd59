"""R32 and R34: connections, packets, and what is never sent."""

import itertools
import socket
import time

import dns.flags
import dns.query

from asking import ask, datagrams, framed, NAMES, of_zone, PORT, query, read, received, row, sniffer, tcp, udp


@row("R32", "connections carry many questions; datagrams come from where they were sent to")
def transport():
    # In pieces, several at once, and in the same order.
    wires = [framed(query(of_zone(name), "TXT", id=number).to_wire()) for number, name in enumerate(NAMES)]
    with tcp() as stream:
        for byte in wires[2]:
            stream.sendall(bytes([byte]))
        assert received(stream)[:2] == b"\0\2"
        stream.sendall(b"".join(wires))
        for number in range(len(wires)):
            assert read(received(stream)).id == number
        # Nobody asks any more.
        assert stream.recv(1) == b""
    # Whoever does not read is ended, and does not stop others.
    with tcp() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        flood = framed(query("many.example.com").to_wire()) * 3000
        began = time.monotonic()
        try:
            while time.monotonic() < began + 20:
                slow.sendall(flood)
        except OSError:
            pass
        assert time.monotonic() < began + 20, "it was never ended"
        assert ask(query("www.example.com")).answer
    # More come than there are places for, and say nothing: who asks gets an answer.
    idle = [tcp() for _ in range(40)]
    with tcp() as stream:
        stream.sendall(wires[2])
        assert received(stream)[:2] == b"\0\2"
    for stream in idle:
        stream.close()
    # Wherever it is asked; only what comes from there is received.
    for address in ("127.0.0.1", "127.0.0.9", "127.255.255.254", "::1"):
        assert ask(query("www.example.com"), address=address).answer
    with sniffer() as seen:
        ask(query("text.example.com", "TXT", use_edns=0, payload=1232))
        # Routers may cut it (RFC 9715 §3.1 leaves it to us; a lost datagram is worse).
        assert {flags & 2 for flags, _, _ in datagrams(seen)} == {0}


@row("R33", "reloads lose no question and mix no answer")
def reloads():
    seen, began = [], time.monotonic()
    with udp() as asker:
        while len(seen) < 5:
            assert time.monotonic() < began + 30, f"no reloads: {seen}"
            for _ in range(100):
                asker.send(query("turn.example.com").to_wire())
                numbers = {int(address.to_text().rsplit(".", 1)[1]) for rrset in read(asker.recv(65535)).answer for address in rrset}
                assert len(numbers) == 1, numbers
                if seen[-1:] != [*numbers]:
                    seen += numbers


@row("R34", "no signatures, whoever wants them")
def no_signatures():
    for name, record_type in itertools.product(NAMES, ("A", "TXT", "DS", "DNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "ANY")):
        for transport in (dns.query.udp, dns.query.tcp):
            answer = transport(query(of_zone(name), record_type, want_dnssec=True), "127.0.0.1", port=PORT, timeout=5)
            assert answer.ednsflags & dns.flags.DO
            found = {rrset.rdtype for section in (answer.answer, answer.authority, answer.additional) for rrset in section}
            assert not found & {46, 47, 48, 50, 51}, answer

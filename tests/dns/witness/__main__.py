"""Asks a running daemon that has tests/dns/rows.yaml, and reads its answers with dnspython: a line for each row.

    target/dnspython/bin/python tests/dns/witness PORT

The daemon answers at every address of this host. Rows are what has to be so of a name server that does as the RFCs say; R16 is
shown elsewhere (see rows.rs). R33 waits for reloads. Two rows read packets of the loopback interface, which takes root.
"""

import sys
import time
import traceback

# Each brings its rows.
import header
import authority
import extensions
import subnets
import transport
from asking import ROWS


def main():
    failed = []
    for name, what, check in ROWS:
        began = time.monotonic()
        try:
            check()
            print(f"{name} ok: {what} ({time.monotonic() - began:.2f} s)", flush=True)
        except Exception:
            failed.append(name)
            print(f"{name} FAILED: {what}\n{traceback.format_exc()}", flush=True)
    sys.exit(1 if failed else 0)


main()

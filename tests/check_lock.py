"The lock pins every package by hash and names no address and no path."
import re
import sys
from pathlib import Path


def faults(text):
    for i, line in enumerate(text.splitlines(), 1):
        if re.search(r"https?:|file:|--(index|extra-index|find-links)|(^|\s)/|@ ", line):
            yield f"line {i} holds an address or a path: {line.strip()}"
        if "==" in line and not line.rstrip().endswith("\\"): yield f"line {i} pins without a hash: {line.strip()}"


if __name__ == "__main__":
    found = list(faults(Path(sys.argv[1]).read_text()))
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)

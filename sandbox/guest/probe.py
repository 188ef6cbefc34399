from __future__ import annotations

import json

from . import wire


def main() -> None:
    wire.Stream(3).receive()
    wire.send_frame(3, json.dumps({}).encode())

#!/usr/bin/env python3
"""Makes grafana/dashboards/*.json of the boards that stand beside this file.

With --check it writes nothing, and fails where a file is not what it would write.
"""

import json
import pathlib
import sys

import capacity
import http_api
import log
import node
import overview
import sockets
import stores
import work

BOARDS = (overview, node, log, sockets, http_api, stores, work, capacity)
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "grafana" / "dashboards"


def main():
    made = {}
    for module in BOARDS:
        board = module.board()
        made[FOLDER / (board["uid"].removeprefix("chat-") + ".json")] = json.dumps(board, indent=2, ensure_ascii=False) + "\n"
    if "--check" in sys.argv:
        found = {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
        wrong = sorted(path.name for path in made.keys() | found.keys() if made.get(path) != found.get(path))
        if wrong:
            sys.exit(f"run scripts/dashboards/make.py: {', '.join(wrong)}")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in set(FOLDER.glob("*.json")) - made.keys():
        path.unlink()
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

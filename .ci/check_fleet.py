"""Checks the figures of `mcrpc demo fleet --json FILE` against what docs/fleet.md promises."""

import json
import sys


def lost(scene: dict) -> int:
    return scene["refused"] + scene["held"] + scene["failed"]


CLAIMS = [
    # what, of which scene, must hold
    ("four fifths of what the store can do are answered under overload", "overload",
     lambda s, capacity: s["ok_per_s"] >= 0.8 * capacity),
    ("those that publish go first", "overload", lambda s, capacity: s["success_of_publishing"] >= 0.8 > s["success"]),
    ("what would be refused is not sent", "overload", lambda s, capacity: s["not_sent"] >= 0.3 * s["refused"]),
    ("99.9 % of the calls that a dead instance did not have are answered", "kill",
     lambda s, capacity: (s["refused"] + s["failed"]) * 1_000 <= s["calls"] - s["held"]),
    ("a slow machine costs hardly a call", "slow", lambda s, capacity: s["success"] >= 0.98),
    ("a restart fails no call", "restart", lambda s, capacity: lost(s) == 0),
]


def main(path: str) -> int:
    with open(path, encoding="utf-8") as file:
        results = json.load(file)
    failed = 0
    for claim, kind, holds in CLAIMS:
        scenes = [scene for scene in results["scenes"] if scene["scene"] == kind]
        failed += not scenes
        for scene in scenes:
            kept = holds(scene, results["capacity_per_s"])
            failed += not kept
            print(f"{'yes' if kept else 'NO '} {claim} ({scene['name']}: {scene['success']:.4f} of {scene['calls']}, "
                  f"{scene['ok_per_s']:.0f}/s, refused {scene['refused']}, held {scene['held']}, failed {scene['failed']}, "
                  f"not sent {scene['not_sent']})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

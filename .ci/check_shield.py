"""Checks the figures of `mcrpc demo shield --json FILE` against what the README promises of a host's shields."""

import json
import sys

FAULTS = ["down", "slow", "reset", "hang", "flap", "zone", "all"]
PROTECTIONS = ["none", "retries", "process", "host"]
CLAIMS = [
    # what, of which fault, must hold for the run with the host's shields; `none` is the same fault without protection
    ("down: 99.9 % of the calls are answered after the first second", "down",
     lambda r, none: r["success_after_1s"] >= 0.999),
    # Two thirds, by the ring; between processes of one host the rest is chance.
    ("down: without protection a third of the users fails", "down",
     lambda r, none: 0.58 <= none["success_after_1s"] <= 0.75),
    ("down: at most 1 % of the attempts go to the machine", "down",
     lambda r, none: r["share_to_faulty"] <= 0.01),
    ("down: the machine has its share again within 10 s", "down",
     lambda r, none: r["back_to_share_s"] is not None and r["back_to_share_s"] <= 10),
    # A second has about 330 attempts at the machine: four standard deviations are a fifth.
    ("down: it never gets a burst above its share", "down",
     lambda r, none: r["highest_share_after"] <= 1.25),
    ("all: the shields do not add to the outage", "all",
     lambda r, none: r["success"] >= 0.9 * none["success"] and r["refused"] <= 0.01 * r["calls"]),
    ("all: calls are answered again within 5 s", "all",
     lambda r, none: r["back_to_success_s"] is not None and r["back_to_success_s"] <= 5),
    *[(f"{fault}: retries stay within their budget", fault,
       lambda r, none: r["attempts_per_call"] <= 1.10) for fault in FAULTS],
    *[(f"{fault}: 99 % of the calls are answered after the first second", fault,
       lambda r, none: r["success_after_1s"] >= 0.99) for fault in FAULTS if fault not in ("down", "all")],
]


def main(path: str) -> int:
    with open(path, encoding="utf-8") as file:
        runs = {(run["fault"], run["protection"]): run for run in json.load(file)["runs"]}
    missing = [(fault, protection) for fault in FAULTS for protection in PROTECTIONS
               if (fault, protection) not in runs]
    for fault, protection in missing:
        print(f"NO  there is no run of {fault} with {protection}")
    if missing:
        return 1
    failed = 0
    for claim, fault, holds in CLAIMS:
        run, none = runs[fault, "host"], runs[fault, "none"]
        kept = holds(run, none)
        failed += not kept
        back = "never" if run["back_to_share_s"] is None else f"{run['back_to_share_s']:.1f} s"
        print(f"{'yes' if kept else 'NO '} {claim} (answered {run['success']:.4f}, after 1 s "
              f"{run['success_after_1s']:.4f}, none {none['success_after_1s']:.3f}, to faulty "
              f"{run['share_to_faulty']:.4f}, attempts {run['attempts_per_call']:.3f}, back {back}, highest "
              f"{run['highest_share_after']:.2f})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

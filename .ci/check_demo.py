"""Checks the figures of `mcrpc demo --json FILE` against what the README promises."""

import json
import sys

CLAIMS = [
    # what, of which runs, must hold
    ("at 4x a plain call service gives 0.95 of its capacity",
     lambda r: r["load"] == 4 and r["calls_per_task"] == 1, lambda r, _: r["optimum_share"] >= 0.95),
    ("at 4x a service of two-call tasks gives 0.93 of its capacity",
     lambda r: r["load"] == 4 and r["calls_per_task"] == 2, lambda r, _: r["optimum_share"] >= 0.93),
    ("at 4x the p99 of plain calls is within half the deadline",
     lambda r: r["load"] == 4 and r["calls_per_task"] == 1, lambda r, d: r["p99_ms"] <= d / 2),
    ("at 0.5x nothing is refused",
     lambda r: r["load"] == 0.5, lambda r, _: sum(r["refused"].values()) == 0),
]


def main(path: str) -> int:
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    controlled = [run for run in report["runs"] if run["admission"]]
    failed = 0
    for claim, concerns, holds in CLAIMS:
        runs = [run for run in controlled if concerns(run)]
        modes = {run["mode"] for run in runs}
        if modes != {"threads", "processes"}:
            print(f"NO  {claim}: only measured for {sorted(modes)}")
            failed += 1
        for run in runs:
            has_answers = run["p99_ms"] is not None
            kept = has_answers and holds(run, report["deadline_ms"])
            failed += not kept
            p99 = f"p99 {run['p99_ms']:.0f} ms" if has_answers else "no answer in time"
            print(f"{'yes' if kept else 'NO '} {claim} ({run['mode']}: share {run['optimum_share']:.3f}, "
                  f"{p99}, refused {sum(run['refused'].values())})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

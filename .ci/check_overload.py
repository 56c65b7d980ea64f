"""Checks the figures of `mcrpc demo overload --json FILE` against what the README promises of this library and its rivals."""

import json
import sys

SCENARIOS = ["steady-2x", "steady-4x", "brownout", "retry-storm"]
RIVALS = ["none", "drop-tail", "pass-rate", "gradient2"]
CLAIMS = [
    # what, in which scenario, must hold of this library's figures; `best` is the largest share of the optimum of a rival
    ("twice the capacity: 0.93 of the optimum", "steady-2x", lambda c, best: c["optimum_share"] >= 0.93),
    ("four times the capacity: 0.85 of the optimum", "steady-4x", lambda c, best: c["optimum_share"] >= 0.85),
    ("a brownout: 0.80 of what is left", "brownout", lambda c, best: c["optimum_share"] >= 0.80),
    ("a retry storm: 0.90 of the optimum", "retry-storm", lambda c, best: c["optimum_share"] >= 0.90),
    *[(f"{scenario}: no rival does more", scenario, lambda c, best: c["optimum_share"] >= best)
      for scenario in SCENARIOS if scenario != "brownout"],
    # There tail drop, which knows neither users nor tasks, comes close: it has nothing to learn anew.
    ("a brownout: no rival does more than a twentieth more", "brownout",
     lambda c, best: c["optimum_share"] >= best - 0.05),
    ("a retry storm: over within 8 s", "retry-storm",
     lambda c, best: c["recovery_s"] is not None and c["recovery_s"] <= 8),
    *[(f"{scenario}: over within 2 s", scenario,
       lambda c, best: c["recovery_s"] is not None and c["recovery_s"] <= 2)
      for scenario in SCENARIOS if scenario != "retry-storm"],
    *[(f"{scenario}: at most a seventh of the work is wasted", scenario,
       lambda c, best: c["wasted_share"] <= 1 / 7) for scenario in SCENARIOS],
    *[(f"{scenario}: at most 1.6 requests per unit of capacity", scenario,
       lambda c, best: c["requests_per_capacity"] <= 1.6) for scenario in SCENARIOS],
]


def main(path: str) -> int:
    with open(path, encoding="utf-8") as file:
        cells = {(cell["scenario"], cell["policy"]): cell for cell in json.load(file)["cells"]}
    missing = [(scenario, policy) for scenario in SCENARIOS for policy in [*RIVALS, "mcrpc"]
               if (scenario, policy) not in cells]
    for scenario, policy in missing:
        print(f"NO  there is no cell of {policy} in {scenario}")
    if missing:
        return 1
    failed = 0
    for claim, scenario, holds in CLAIMS:
        cell = cells[scenario, "mcrpc"]
        best = max(cells[scenario, rival]["optimum_share"] for rival in RIVALS)
        kept = holds(cell, best)
        failed += not kept
        recovery = "never" if cell["recovery_s"] is None else f"{cell['recovery_s']:.1f} s"
        print(f"{'yes' if kept else 'NO '} {claim} (share {cell['optimum_share']:.3f}, best rival {best:.3f}, recovery "
              f"{recovery}, wasted {cell['wasted_share']:.3f}, requests/capacity {cell['requests_per_capacity']:.2f})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""The table of recipes: what each option earns over the published recipe, beside the noise of seeds."""

import math
import statistics

from ops.benchmark.study.findings import CLEAR, Findings
from ops.benchmark.study.runs import RECIPES


def recipes_table(findings: Findings) -> str:
    """Markdown: top-1 in percent of each recipe, with each seed and as a mean, and its difference to the first."""
    values = {recipe.name: findings.values[recipe.name, "all"] for recipe in RECIPES}
    seeds = range(findings.seeds)
    rows = [
        f"| recipe | {' | '.join(f'seed {seed}' for seed in seeds)} | mean | minus published |",
        "| --- " * (findings.seeds + 3) + "|",
    ]
    for name, found in values.items():
        cells = [f"{found[seed]:.1f}" if seed < len(found) else "not run" for seed in seeds]
        mean = f"{statistics.mean(found):.1f}" if found else "not run"
        rows.append(f"| {' | '.join((name, *cells, mean, _earned(findings, name)))} |")
    return "\n".join((*rows, "", _noise(findings)))


def _earned(findings: Findings, name: str) -> str:
    """The difference of means, in bold where it is more than twice its noise."""
    first = RECIPES[0]
    recipe = next(each for each in RECIPES if each.name == name)
    one, published = findings.accuracy(recipe, "all"), findings.accuracy(first, "all")
    if one is None or published is None or recipe is first:
        return ""
    points = f"{one.mean - published.mean:+.1f}"
    known = findings.seed_noise is not None
    return f"**{points}**" if known and findings.is_clear(one, published) else points


def _noise(findings: Findings) -> str:
    noise = findings.seed_noise
    if noise is None:
        return "Noise: no recipe has run with two seeds yet, so nothing of this is known."
    difference = noise * math.sqrt(2 / findings.seeds)
    return (
        f"Noise: from one seed to another, the top-1 of a run varies by {noise:.1f} points (standard deviation, over "
        f"all recipes),\nthe difference of two means by {difference:.1f}. **Bold**: more than {CLEAR} times that."
    )

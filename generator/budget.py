"""The caps of a film: what a plan may spend, settled before anything is."""

from __future__ import annotations

from dataclasses import dataclass

from generator.backends.base import Quote
from generator.plan import Plan, ShotJob, total_quote
from media.errors import BudgetError
from storyboards.schema import Budget

__all__ = ["Allowance", "require_budget"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """Jobs that may be rendered, and those held back, both in the order of `plan.missing`."""

    jobs: tuple[ShotJob, ...]
    held: tuple[ShotJob, ...]
    spent_usd: float = 0.0
    """What the film's takes that are there have cost."""
    promised_usd: float = 0.0
    """What other runs of the film that are under way may still spend."""


def require_budget(
    plan: Plan, budget: Budget, *, spent_usd: float = 0.0, promised_usd: float = 0.0
) -> Allowance:
    """What fits the caps; BudgetError when the storyboard says to stop, or nothing fits.

    With `hold`, jobs are taken in film order as long as they fit; one that does not fit is held
    back, and so is every take that goes on from it, while later and cheaper ones may still go.
    """
    missing = plan.missing
    total = total_quote(missing)
    before = spent_usd + promised_usd
    over = _over(budget, before + total.usd, total.gpu_seconds, before)
    if not over:
        return Allowance(missing, (), spent_usd, promised_usd)
    if promised_usd:
        over += f", of which other runs of the film are spending {promised_usd:.2f} now"
    if budget.on_exceed == "stop":
        raise BudgetError(
            over,
            where=plan.film.path.name,
            todo="raise the budget, shorten the film or choose a cheaper backend",
        )
    jobs: list[ShotJob] = []
    held: dict[str, ShotJob] = {}
    usd, gpu_seconds = before, 0.0
    paid: set[str] = set()
    for job in missing:
        cost = Quote() if job.generation in paid else job.quote
        next_usd, next_gpu = usd + cost.usd, gpu_seconds + cost.gpu_seconds
        if job.waits_for in held or not _affordable(cost, budget, next_usd, next_gpu):
            held[job.key] = job
            continue
        jobs.append(job)
        paid |= {job.generation} - {""}
        usd, gpu_seconds = next_usd, next_gpu
    if not jobs:
        raise BudgetError(over, where=plan.film.path.name, todo="raise the budget")
    return Allowance(tuple(jobs), tuple(held.values()), spent_usd, promised_usd)


def _affordable(cost: Quote, budget: Budget, usd: float, gpu_seconds: float) -> bool:
    free = cost.usd == 0 and cost.gpu_seconds == 0
    return free or not _over(budget, usd, gpu_seconds, 0.0)


def _over(budget: Budget, usd: float, gpu_seconds: float, spent_usd: float) -> str:
    """Which cap is exceeded, in words, or nothing."""
    # A cent's thousandth and a GPU second's: sums of floats must not miss a cap they just meet.
    if budget.usd is not None and usd > budget.usd + 1e-5 and usd > spent_usd:
        before = f", {spent_usd:.2f} of it already spent" if spent_usd else ""
        return f"the film costs {usd:.2f} USD{before}; the cap is {budget.usd:.2f} USD"
    if budget.gpu_minutes is not None and gpu_seconds > budget.gpu_minutes * 60 + 1e-3:
        minutes = gpu_seconds / 60
        return f"the film needs {minutes:.1f} GPU minutes; the cap is {budget.gpu_minutes:g}"
    return ""

"""What a film costs, as a page that others can read: quoted, capped, held back, and in fact."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from flows.recorder import Recorder
from generator.backends.base import Quote
from generator.budget import Allowance
from generator.plan import Plan, ShotJob, total_quote
from generator.takes import Take, TakeStore
from media.errors import CancelledError, StoreError
from media.words import counted

__all__ = ["cost_record"]

_QUOTE_HEAD = "| backend | takes | to make | USD | GPU minutes | CPU minutes |"
_BUDGET_HEAD = "| | USD | GPU minutes |"
_MADE_HEAD = "| backend | takes made | minutes | USD | quoted USD | quoted GPU minutes |"
_MOST_CHARS = 80


@contextmanager
def cost_record(
    plan: Plan, allowed: Allowance, store: TakeStore, recorder: Recorder
) -> Iterator[None]:
    """Record what the plan costs, and when the block ends, however it ends, what was made of it."""
    if not recorder.seen:
        yield
        return
    quoted = _Costs(plan, allowed)
    title = f"Costs of {plan.film.title}"
    recorder.markdown("costs", quoted.page(), title)
    try:
        yield
    finally:
        takes = _made(allowed.jobs, store)
        recorder.markdown("costs", quoted.page(takes), title)
        if allowed.jobs:
            rows = [_row(job, takes.get(job.key)) for job in allowed.jobs]
            recorder.table("takes-made", rows, f"Takes of {plan.film.title} made in this run")


def _made(jobs: Sequence[ShotJob], store: TakeStore) -> Mapping[str, Take]:
    """By key, what is there of the jobs now, as far as the store says.

    A run that was stopped asks no shared store any more; what it made lies here.
    """
    found: dict[str, Take] = {}
    for job in jobs:
        with suppress(CancelledError, StoreError):
            if (take := store.find(job.key, verify=False)) is not None:
                found[job.key] = take
    return found


@dataclass(frozen=True, slots=True)
class _Costs:
    plan: Plan
    allowed: Allowance

    def page(self, takes: Mapping[str, Take] | None = None) -> str:
        """In Markdown; with `takes`, those that were made."""
        lines = [self._summary(takes), "", "## Quote", ""]
        lines += _table(_QUOTE_HEAD, self._quotes())
        lines += ["", "## Budget", "", *_table(_BUDGET_HEAD, self._budget())]
        if takes:
            lines += ["", "## Made in this run", "", *_table(_MADE_HEAD, self._work(takes))]
        return "\n".join(lines)

    def _summary(self, takes: Mapping[str, Take] | None) -> str:
        held, jobs = self.allowed.held, self.allowed.jobs
        quote = total_quote(jobs)
        words = f"**{counted(len(jobs), 'take')} to make for {quote.usd:.2f} USD**"
        if quote.gpu_seconds:
            words += f" and {_minutes(quote.gpu_seconds)} GPU minutes"
        if held:
            words += f"; **{counted(len(held), 'take')} held back by the budget**"
        if takes is not None:
            words += f"; {len(takes)} made for {_cost(list(takes.values())):.2f} USD"
        return words + "."

    def _quotes(self) -> Iterator[Sequence[str]]:
        missing = self.plan.missing
        for backend, jobs in _by_backend(self.plan.jobs).items():
            to_make = [job for job in missing if job.backend == backend]
            yield backend, str(len(jobs)), str(len(to_make)), *_money(total_quote(to_make))
        total = total_quote(missing)
        yield _strong("in all", str(len(self.plan.jobs)), str(len(missing)), *_money(total))

    def _budget(self) -> Iterator[Sequence[str]]:
        budget = self.plan.film.budget
        run, held = total_quote(self.allowed.jobs), total_quote(self.allowed.held)
        before = self.allowed.spent_usd + self.allowed.promised_usd
        yield "spent before, on takes that are kept", f"{self.allowed.spent_usd:.2f}", ""
        if self.allowed.promised_usd:
            yield "other runs of the film, under way", f"{self.allowed.promised_usd:.2f}", ""
        yield "this run, quoted", f"{run.usd:.2f}", _minutes(run.gpu_seconds)
        if self.allowed.held:
            yield "held back", f"{held.usd:.2f}", _minutes(held.gpu_seconds)
        yield _strong(
            "cap",
            "none" if budget.usd is None else f"{budget.usd:.2f}",
            "none" if budget.gpu_minutes is None else f"{budget.gpu_minutes:g}",
        )
        left = "" if budget.usd is None else f"{budget.usd - before - run.usd:.2f}"
        if left:
            yield "left under the cap after this run", left, ""

    def _work(self, takes: Mapping[str, Take]) -> Iterator[Sequence[str]]:
        made = [job for job in self.allowed.jobs if job.key in takes]
        for backend, jobs in [*_by_backend(made).items(), ("in all", made)]:
            of = [takes[job.key] for job in jobs]
            quote = total_quote(jobs)
            minutes = _minutes(sum(_render_s(take) for take in of))
            row = [backend, str(len(of)), minutes, f"{_cost(of):.2f}"]
            row += [f"{quote.usd:.2f}", _minutes(quote.gpu_seconds)]
            yield _strong(*row) if backend == "in all" else row


def _row(job: ShotJob, take: Take | None) -> Mapping[str, object]:
    facts = take.manifest if take is not None else {}
    return {
        "shot": job.shot_id,
        "take": job.take,
        "backend": job.backend,
        "state": "made" if take is not None else "not made",
        "seconds": round(float(facts.get("render_s", 0.0)), 1),
        "USD": round(float(facts.get("cost_usd", 0.0)), 3),
        "quoted USD": round(job.quote.usd, 3),
        "quoted GPU s": round(job.quote.gpu_seconds, 1),
        "memory MB": round(float(facts.get("peak_memory_mb", 0.0))),
        # The page cuts long cells off; the take's manifest has the whole of it.
        "warnings": "; ".join(facts.get("warnings", ()))[:_MOST_CHARS],
    }


def _by_backend(jobs: Sequence[ShotJob]) -> Mapping[str, list[ShotJob]]:
    found: dict[str, list[ShotJob]] = {}
    for job in jobs:
        found.setdefault(job.backend, []).append(job)
    return found


def _money(quote: Quote) -> tuple[str, str, str]:
    return f"{quote.usd:.2f}", _minutes(quote.gpu_seconds), _minutes(quote.cpu_seconds)


def _cost(takes: Collection[Take]) -> float:
    """What the takes cost; those that are cut from one generation name its cost each."""
    costs = {
        take.manifest.get("generation") or take.key: float(take.manifest.get("cost_usd", 0.0))
        for take in takes
    }
    return sum(costs.values())


def _render_s(take: Take) -> float:
    return float(take.manifest.get("render_s", 0.0))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"


def _strong(*cells: str) -> tuple[str, ...]:
    return tuple(f"**{cell}**" if cell else "" for cell in cells)


def _table(head: str, rows: Iterator[Sequence[str]]) -> list[str]:
    columns = head.count("|") - 1
    align = "|---|" + "---:|" * (columns - 1)
    return [head, align, *(f"| {' | '.join(row)} |" for row in rows)]

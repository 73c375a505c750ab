"""Plans, comparisons and explanations as tables; rich draws them, plainly into a pipe."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dgdr_cli.planner.case import Case
from dgdr_cli.planner.chosen import IN_WORDS, By
from dgdr_cli.planner.explained import Explanation, RoleLine, Verdict
from dgdr_cli.planner.outlook import UNKNOWN
from dgdr_cli.planner.plan import Latency, Planned, RoleCount
from dgdr_cli.planner.shares import Division
from dgdr_cli.planner.what_if import WhatIf, differences
from dgdr_cli.render import aligned


def plan_screen(case: Case, planned: Planned) -> RenderableType:
    """Draw a plan: the question, the roles, the cost, and what to be careful about."""
    rows = aligned(
        ("ROLE", "<"),
        ("REPLICAS", ">"),
        ("NEEDED", ">"),
        ("EXPECTED", ">"),
        ("BOUND BY", "<"),
        ("GPUS", ">"),
        ("CURVE", "<"),
    )
    for role in planned.roles:
        rows.add_row(
            str(role.role),
            _replicas(role),
            f"{role.needed} ({role.exact:.2f})",
            _expected(role),
            str(role.binding),
            f"{role.gpus} ({role.gpus_each} each)",
            _curve(role),
        )
    return Group(
        Text(_question(case), style="dim"),
        Text(),
        rows,
        Text(),
        Text(_cost(planned), style="bold"),
        *_cautions(case, planned),
    )


def what_if_screen(name: str, asked: WhatIf) -> RenderableType:
    """Draw two plans side by side."""
    changes = differences(asked.now_case, asked.then_case)
    rows = aligned(("", "<"), ("NOW", ">"), ("THEN", ">"), ("CHANGE", ">"))
    for now, then in asked.pairs():
        rows.add_row(*_replica_row(asked, now, then))
        for before, after in zip(now.latencies, then.latencies, strict=True):
            expected = [_with(one, role) for one, role in ((before, now), (after, then))]
            rows.add_row(f"  {before.name} expected", *expected, "")
        rows.add_row("  bound by", str(now.binding), str(then.binding), "")
        rows.add_row("  curve", _curve(now), _curve(then), "")
    gpus = (asked.now.gpus, asked.then.gpus)
    rows.add_row(Text("GPUs", style="bold"), str(gpus[0]), str(gpus[1]), _change(*gpus))
    hours = (asked.now.gpu_hours_per_day, asked.then.gpu_hours_per_day)
    rows.add_row("GPU-hours a day", str(hours[0]), str(hours[1]), _change(*hours))
    said = "; ".join(changes) or "nothing is different: give at least one option"
    return Group(
        Text.assemble((name, "bold"), "  what if ", (said, "bold yellow")),
        Text(f"now: {_question(asked.now_case)}", style="dim"),
        Text(),
        rows,
        Text(),
        *_cautions(asked.then_case, asked.then),
    )


def explanation_screen(told: Explanation) -> RenderableType:
    """Draw why a planner's numbers are what they are."""
    facts = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    for name, text in (
        ("Targets", told.targets),
        ("Observed", told.observed),
        ("Planned for", told.planned_for),
        ("Start-up", told.startup),
        ("Attained", told.attainment),
        *((("Shadow", told.shadow),) if told.shadow else ()),
    ):
        facts.add_row(name, Text(text, style="yellow" if text.startswith(UNKNOWN) else ""))
    parts: list[RenderableType] = [
        Text.assemble((told.title, "bold"), "  ", (told.mode, "bold cyan")),
        Text(),
        facts,
    ]
    if told.roles:
        parts += [Text(), _roles(told.roles)]
    parts += [Text(), *_ahead(told)]
    if told.budget is not None:
        parts += [Text(), _division(told.budget)]
    if told.verdicts:
        parts += [Text(), _conditions(told.verdicts)]
    return Group(*parts, Text(), *_ledger(told))


def _roles(roles: tuple[RoleLine, ...]) -> Table:
    rows = aligned(
        ("ROLE", "<"),
        ("REPLICAS", "<"),
        ("NEEDED", ">"),
        ("LIMITS", ">"),
        ("EXPECTED", ">"),
        ("BOUND BY", "<"),
        ("PROFILE", "<"),
        ("GPUS", ">"),
    )
    for role in roles:
        rows.add_row(
            role.role,
            role.replicas,
            role.needed,
            role.limits,
            role.expected,
            role.bound_by,
            Text(role.profile, style="yellow" if role.profile == "beyond" else ""),
            role.gpus,
        )
    return rows


def _ahead(told: Explanation) -> list[RenderableType]:
    """Draw why the numbers are not others, and what comes next."""
    ahead, parts = told.outlook, list[RenderableType]()
    if ahead.silent:
        parts += [Text(f"Old: {ahead.silent}.", style="red")]
    if ahead.held:
        parts += [Text(f"Held: {ahead.held}.", style="yellow")]
    if ahead.roles:
        why = aligned(("WHY", "<"), ("NO MORE", "<"), ("NO FEWER", "<"))
        for role in ahead.roles:
            why.add_row(role.role, role.no_more, role.no_fewer)
        parts += [why]
    if told.coming:
        coming = aligned(("COMES NEXT (UTC)", "<"), ("", "<"))
        for when, what in told.coming:
            coming.add_row(when, what)
        parts += [Text(), coming] if parts else [coming]
    return parts


def _division(told: Division | str) -> RenderableType:
    if isinstance(told, str):
        return Text(f"Shared budget: {told}", style="yellow")
    rows = aligned(
        ("PLANNER", "<"),
        ("PRIORITY", ">"),
        ("GUARANTEED", ">"),
        ("HOLDS", ">"),
        ("WANTS", ">"),
        ("SHARE", ">"),
        ("WHY", "<"),
    )
    for one in told.portions:
        wanted = UNKNOWN if one.wanted is None else str(one.wanted)
        numbers = (one.priority, one.guaranteed, one.held)
        why = Text(one.why, style="yellow" if one.denied else "")
        rows.add_row(one.planner, *map(str, numbers), wanted, str(one.share), why)
    free = told.gpus - told.held
    head = f"Shared budget {told.name}: {told.gpus} GPUs, {told.held} held, {free} free"
    return Group(Text(head, style="bold"), rows)


def _conditions(verdicts: tuple[Verdict, ...]) -> Table:
    rows = aligned(("CONDITION", "<"), ("REASON", "<"), ("", "<"))
    for verdict in verdicts:
        style = "red" if verdict.trouble else "yellow" if verdict.unknown else "green"
        rows.add_row(Text(verdict.type, style=style), verdict.reason, verdict.message)
    return rows


def _ledger(told: Explanation) -> list[RenderableType]:
    if not told.decisions:
        return [Text("No decision has changed anything yet.", style="dim")]
    parts: list[RenderableType] = [Text("LAST DECISIONS", style="bold")]
    for one in told.decisions:
        head = Text.assemble(f"{one.age}  ", (one.reason, "bold"), f"  {one.changes}")
        why = [Text(text, style="dim") for text in one.message.split("; ")]
        parts += [head, *(Padding(text, (0, 0, 0, 4)) for text in why)]
    return parts


def _question(case: Case) -> str:
    load, targets = case.load, case.policy.targets
    gpus = case.policy.budget_gpus
    budget = "" if gpus is None else f", at most {gpus} GPUs"
    return (
        f"{load.rate_per_s:g} requests/s ({case.load_from}), ISL {load.isl:g}, OSL {load.osl:g};"
        f" {targets.percentile} TTFT <= {targets.ttft_ms:g} ms and ITL <= {targets.itl_ms:g} ms"
        f"{budget}"
    )


def _replicas(role: RoleCount) -> Text:
    if role.limit is None:
        return Text(str(role.replicas), style="bold")
    return Text(f"{role.replicas} ({role.limit})", style="bold yellow")


def _expected(role: RoleCount) -> Text:
    if role.is_short:
        return Text("above target", style="red")
    text = "\n".join(f"{latency.name} {_ms(latency)}" for latency in role.latencies)
    return Text(text, style="green" if role.reachable else "red")


def _with(latency: Latency, role: RoleCount) -> Text:
    if role.is_short:
        return Text("above target", style="red")
    return Text(_ms(latency), style="" if role.reachable else "red")


def _ms(latency: Latency) -> str:
    if latency.expected_ms is None:
        return "grows without end"
    return f"{latency.expected_ms:.{0 if latency.name == 'TTFT' else 1}f} ms"


def _curve(role: RoleCount) -> Text:
    source = UNKNOWN if role.source is None else str(role.source)
    if role.in_range:
        return Text(source)
    return Text(f"{source}, extrapolated", style="yellow")


def _cost(planned: Planned) -> str:
    return f"{planned.gpus} GPUs: {planned.gpu_hours_per_day} GPU-hours a day under this load"


def _cautions(case: Case, planned: Planned) -> list[Text]:
    """Return what a reader of the numbers must know."""
    said = []
    if planned.infeasible is not None:
        said.append(Text(f"Not possible: {planned.infeasible}.", style="red"))
    for role in planned.roles:
        said += [Text(text, style=style) for text, style in _role_cautions(role)]
    if case.shared is not None:
        others = sum(one.reserved_gpus for one in case.shared.others)
        text = (
            f"Budget {case.shared.name}: {planned.share_gpus} of its {case.shared.gpus} GPUs are"
            f" this planner's under this load; others hold {others} now."
        )
        said.append(Text(text))
    elif case.policy.budget_ref is not None:
        text = f"The shared budget {case.policy.budget_ref} is not there, or has no such member"
        text = f"{text}; it is not counted here."
        said.append(Text(text, style="yellow"))
    return said


def _role_cautions(role: RoleCount) -> list[tuple[str, str]]:
    said = []
    if role.out_of_reach is not None:
        said.append((f"{role.role}: {role.out_of_reach}.", "red"))
    if role.chosen_by is not By.TARGETS:
        expected = "" if role.is_short else f"; EXPECTED is with {role.for_targets}"
        said.append((f"{role.role}: {IN_WORDS[role.chosen_by]}{expected}.", "yellow"))
    if role.is_short:
        who = f"{role.chosen_by} gives"
        if role.limit is not None:
            who = "the budget allows" if role.limit == "budget" else "spec.roles allows"
        text = f"{role.role}: {who} {role.replicas}, the targets need {role.for_targets}."
        said.append((text, "red"))
    if role.correction > 1.0:
        text = f"{role.role}: {role.correction:.2f} x what the curves say, as requests were late."
        said.append((text, "yellow"))
    if not role.in_range:
        said.append((f"{role.role}: the load lies beyond what was measured.", "yellow"))
    return said


def _replica_row(asked: WhatIf, now: RoleCount, then: RoleCount) -> tuple[Text | str, ...]:
    present = asked.present(now.role)
    there = "" if present is None or present == now.replicas else f"{present} there, "
    return (
        Text(f"{now.role} replicas", style="bold"),
        Text(f"{there}{now.replicas} ({now.exact:.2f})"),
        Text(f"{then.replicas} ({then.exact:.2f})", style="bold"),
        _change(now.replicas, then.replicas),
    )


def _change(before: int, after: int) -> Text:
    if after == before:
        return Text("same", style="dim")
    return Text(f"{after - before:+d}", style="red" if after > before else "green")

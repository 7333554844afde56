"""What is tried: each operation with its crash points, and each pair with its schedules."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from explorer import (
    Actor,
    Command,
    Data,
    Gate,
    Moment,
    Step,
    Trace,
    as_lanes,
    crash_points,
    explore,
    find,
    time_passes,
)
from explorer.crashes import OFTEN, Place, Way
from explorer.play import let_go
from tests.e2e.explored.product import (
    LEASE,
    TIMEOUT,
    Answer,
    Product,
    Stopped,
    WorkerActor,
    finishes,
    script_of,
)
from tests.e2e.explored.results import Result
from tests.e2e.explored.rule import Also, Rule, Runs, nothing_else, require
from tests.e2e.runner import send_message, wait_until

SCRIPTS = {
    "admit": "admits",
    "cancel": "cancels",
    "claim": "claims",
    "refuse": "asks which run is active",
    "withdraw": "withdraws",
}
WAYS: tuple[Way, ...] = ("kill", "cut", "pause")


class CutActor(Actor):
    """An API call that loses the answer to one of its commands, and goes on."""

    def __init__(self, actor: Actor, command: str) -> None:
        super().__init__(actor.name, actor.gate, actor.operation, actor.pid)
        self._loses = command  # in the words of `what`
        self._lost = False

    def start(self) -> None:
        """Begin the operation."""
        self._lost = False
        super().start()

    def take(self, data: Data, began: float, timeout: float) -> Step | None:
        """Let one command pass, without its answer if it is the one."""
        command = self.next
        if command is not None and what(command) == self._loses and not self._lost:
            self._lost = True
            self.cut()
        return super().take(data, began, timeout)


def queued(product: Product) -> Callable[[], None]:
    """A reset after which one run waits for a worker."""

    def reset() -> None:
        product.forget()
        product.start()

    return reset


def claimable(
    product: Product, actors: Sequence[WorkerActor], *, cancelled: bool = False
) -> Callable[[], None]:
    """A reset after which each of these workers stands before its claim of one and the same run.

    `cancelled`: the run is claimed already, and then a cancel came.
    """

    def reset() -> None:
        product.forget()
        for worker in product.workers:
            worker.gate.hold()
        run_id = product.start().body["run_id"]
        for _ in actors[1:]:
            send_message(product.redis_url, run_id)
            product.sent += 1

        def standing() -> list[Any]:
            there = [worker for worker in product.workers if worker.gate.held]
            return there if len(there) == len(actors) else []

        there = wait_until(lambda: standing() or None, "the claims", TIMEOUT, every=0.005)
        for actor, worker in zip(actors, there, strict=True):
            actor.becomes(worker)
        if cancelled:
            gate = there[0].gate
            gate.step(TIMEOUT)
            gate.wait(lambda: bool(gate.held), TIMEOUT)
            product.onlooker.call("POST", "/cancel")

    return reset


def waiting(product: Product) -> Callable[[], None]:
    """A reset after which the workers wait for a message."""

    def reset() -> None:
        product.forget()
        for worker in product.workers:
            worker.gate.hold()

    return reset


def crashes(
    trial: str,
    product: Product,
    actor: Stopped,
    reset: Callable[[], None],
    ways: Sequence[Way] = WAYS,
    *,
    also: Also = nothing_else,
) -> Iterator[Result]:
    """All crash points of one operation."""
    for way in ways:
        rule = Rule(product, [actor], also=also)
        where: dict[str, None] = {}

        def judged(trace: Trace, rule: Rule = rule, where: dict[str, None] = where) -> str | None:
            where[_where(trace, actor)] = None
            return rule(trace)

        points = crash_points(actor, product.data, reset=reset, rule=judged, ways=[way], form=what)
        failing = next((point.trace for point in points if point.fault), None)
        yield _result(Result(trial, way, len(points), tuple(where)), rule, failing)


def pairs(
    trial: str,
    product: Product,
    actors: Sequence[Actor | Moment],
    reset: Callable[[], None],
    *,
    preemptions: int = 2,
    alike: Sequence[Actor] = (),
    also: Also = nothing_else,
    forgets: bool = False,
) -> Result:
    """All schedules of a few operations. `forgets`: in each of them, Redis is emptied."""
    players = [one for one in actors if isinstance(one, Actor)]
    rule = Rule(product, players, also=also, forgets=forgets)
    report = explore(
        actors,
        product.data,
        reset=reset,
        rule=rule,
        preemptions=preemptions,
        alike=alike,
    )
    time = any(one.name == "time" for one in actors)
    result = Result(trial, "order", report.schedules, switches=preemptions, time=time)
    if report.silent and report.failing is None:
        return replace(result, fault=f"{report.silent} schedules could not be tried")
    return _result(result, rule, report.failing)


def late(
    trial: str,
    product: Product,
    actor: Actor,
    reset: Callable[[], None],
    between: Callable[[], object] = lambda: None,
) -> Result:
    """Each command once arrives so late that its sender has given up, asked again and finished.

    `between` happens before it arrives. Then it must change nothing.
    """
    rule = Rule(product, [actor])
    tried: set[Place] = set()
    points: list[str] = []
    failing: Trace | None = None
    while True:
        reset()
        actor.start()
        steps: list[Step] = []
        command = _go_on(actor, product, steps, tried)
        if command is None:
            let_go([actor], reset)
            break
        while not actor.ended:
            _last_of_all(actor.gate, command)
            if actor.next is not None and actor.next is not command:
                steps += [step] if (step := actor.take(product.data, 0.0, TIMEOUT)) else []
            else:
                actor.gate.wait(lambda: actor.ended or len(actor.gate.held) > 1, TIMEOUT)
        between()
        before = _state(product)
        passed = actor.gate.step(TIMEOUT)
        steps.append(Step(actor.name, command, passed.reply if passed else None))
        after = _state(product)
        trace = Trace(tuple(steps), (actor.outcome(),))
        points.append(what(command))
        broken = _changed(before, after) or rule(trace)
        if broken and failing is None:
            failing = replace(trace, fault=broken)
        let_go([actor], reset)
    result = Result(trial, "late", len(points), tuple(dict.fromkeys(points)))
    return _result(result, rule, failing)


def _state(product: Product) -> dict[str, dict[str, Any]]:
    lease = cast("bytes | None", product.data.redis.get("nb:lease"))
    return {"the lease": {"holder": lease}, **product.runs()}


def _changed(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> str | None:
    """What has changed, in words."""
    changes = [
        f"{name}: {field} from {value} to {after.get(name, {}).get(field)}"
        for name, fields in before.items()
        for field, value in fields.items()
        if after.get(name, {}).get(field) != value
    ]
    new = [f"{name} is new" for name in after if name not in before]
    return f"what came late has changed {'; '.join(changes + new)}" if changes or new else None


def _go_on(actor: Actor, product: Product, steps: list[Step], tried: set[Place]) -> Command | None:
    """Let it go on until it stands before a command that was not tried. None: it has ended.

    The notebook's steps are none to try: the notebook does not ask a second time.
    """
    while True:
        actor.settle(TIMEOUT)
        command = actor.next
        if command is None:
            return None
        place = Place.before(command, steps, what)
        often = place.times >= OFTEN or what(command).startswith("kernel")
        if place not in tried and not often:
            tried.add(place)
            return command
        steps += [step] if (step := actor.take(product.data, 0.0, TIMEOUT)) else []


def _last_of_all(gate: Gate, command: Command) -> None:
    """Let all others pass before this one, which is held."""
    with gate.changed:
        gate.held = [*(one for one in gate.held if one is not command), command]
        gate.changed.notify_all()


def what(command: Command) -> str:
    """What the runner does by this command."""
    if command.parts:
        return "reads the record" if command.name == "EXEC" else command.name
    if command.name == "KEYS":
        return command.words[1]
    match script_of(command):
        case None:
            return {"LPUSH": "queues"}.get(command.name, command.name)
        case "keep":
            return "finishes" if finishes(command) else "renews"
        case name:
            return SCRIPTS[name]


def _where(trace: Trace, actor: Stopped) -> str:
    """The command whose answer was lost, or before which the process was stopped."""
    cut = [step.command for step in trace.steps if step.cut]
    command = cut[0] if cut else actor.before
    over = command is None or (not cut and trace.steps and trace.steps[-1].command is command)
    return "ends" if over or command is None else what(command)


def _result(result: Result, rule: Rule, failing: Trace | None) -> Result:
    result = replace(result, outcomes=tuple(sorted(rule.outcomes)))
    if failing is None:
        return result
    drawing = as_lanes(failing, find(failing), full=True)
    return replace(result, fault=failing.fault or "", drawing=drawing)


def one_of_the_starts_is_accepted(trace: Trace, _: Runs) -> None:
    """No run is active, and none ends: one start gets in."""
    answers = sorted(str(one) for one in trace.outcomes)
    expected = ["202"] + ["409"] * (len(answers) - 1)
    require(answers == expected, f"the starts are answered {', '.join(answers)}")


def an_accepted_run_is_there(trace: Trace, runs: Runs) -> None:
    """A start that is answered 503 has started nothing, and one that is answered 202 has."""
    answers = [one.result for one in trace.outcomes if isinstance(one.result, Answer)]
    told = [answer.body["run_id"] for answer in answers if answer.status == 202]
    words = f"the start is answered {', '.join(map(str, answers))}, and there are {len(runs)} runs"
    require(told == list(runs), words)


def one_cancel_one_run(cancel: Actor) -> Also:
    """What a cancel must fulfil: it cancels one run at most, and its answer names that run."""

    def also(trace: Trace, runs: Runs) -> None:
        answer = trace.outcome(cancel.name).result
        if not isinstance(answer, Answer):
            return
        told = [answer.body["run_id"]] if answer.status == 202 else []
        done = [run_id for run_id, run in runs.items() if run["cancel_requested"]]
        words = f"POST /cancel is answered {answer}, and it has cancelled {len(done)} runs"
        require(told == done, words)

    return also


def only_one_is_accepted(trace: Trace, _: Runs) -> None:
    """Redis forgets what it has accepted, and accepts nothing else for one lease."""
    answers = [str(one) for one in trace.outcomes]
    require(answers.count("202") <= 1, f"the starts are answered {', '.join(answers)}")


def by_name(product: Product) -> Result:
    """At any point of a cancel, the run that it names ends, and the next start is accepted."""
    waiting: list[str] = []
    cancel = product.apis[0].actor(lambda: f"/cancel?run_id={waiting[-1]}")

    def reset() -> None:
        product.forget()
        waiting.append(str(product.start().body["run_id"]))

    def next_start() -> None:
        product.onlooker.call("POST", "/cancel")
        require(product.start().status == 202, "the next start is refused")

    def spared(trace: Trace, runs: Runs) -> None:
        hit = [run_id for run_id, run in runs.items() if run["cancel_requested"]]
        require(hit in ([], waiting[-1:]), f"{hit} were cancelled, and {waiting[-1]} was meant")

    next_run = Moment("people", "the run ends, and the next start is accepted", next_start)
    return pairs("cancel that names its run", product, [cancel, next_run], reset, also=spared)


def emptied(product: Product) -> Moment:
    """The moment at which Redis forgets everything."""
    return Moment("Redis", "it is emptied", product.empty)


def of_the_api(product: Product) -> Iterator[Result]:
    """Without a worker: what waits in the queue stays there."""
    first, second, third = (api.actor("/start") for api in product.apis)
    cancel = product.apis[1].actor("/cancel")
    waits = queued(product)
    time = time_passes(product.data, LEASE)
    only_one, truth = one_of_the_starts_is_accepted, one_cancel_one_run(cancel)
    yield from crashes("start", product, first, product.forget)
    yield from crashes("cancel", product, cancel, waits, also=truth)
    two, three = [first, second], [first, second, third]
    yield pairs("two starts", product, two, product.forget, alike=two, also=only_one)
    yield pairs("two starts", product, [*two, time], product.forget, alike=two)
    yield pairs(
        "three starts", product, three, product.forget, preemptions=1, alike=three, also=only_one
    )
    for trial, reset in [
        ("start and cancel", product.forget),
        ("start, and cancel of a run that waits", waits),
    ]:
        yield pairs(trial, product, [first, cancel], reset, also=truth)
        yield pairs(trial, product, [first, cancel, time], reset, also=truth)
    yield pairs(
        "start, and cancel whose answer is lost",
        product,
        [first, CutActor(cancel, "cancels")],
        waits,
        also=truth,
    )
    yield by_name(product)
    yield pairs(
        "two starts, and Redis forgets",
        product,
        [*two, emptied(product)],
        product.forget,
        alike=two,
        also=only_one_is_accepted,
        forgets=True,
    )
    product.as_it_is()

    def it_ends() -> None:
        product.onlooker.call("POST", "/cancel")

    yield late("start", product, first, product.forget, between=it_ends)
    yield late("cancel", product, cancel, waits, between=product.start)


def taken_over(product: Product, worker: WorkerActor) -> Result:
    """At any point of a run, its lease runs out and the next start is accepted."""
    accepted: list[str] = []

    def next_start() -> None:
        product.data.advance(LEASE)
        accepted.append(str(product.start().body["run_id"]))

    def still_waits(trace: Trace, runs: Runs) -> None:
        status = runs[accepted[-1]]["status"]
        # The worker may have gone on with the next message before this was asked.
        begun = any(accepted[-1] in str(step.reply) for step in trace.steps if step.wrote)
        allowed = ("QUEUED", "RUNNING") if begun else ("QUEUED",)
        require(status in allowed, f"the run that was accepted meanwhile is {status}")

    return pairs(
        "run, and a start after its lease",
        product,
        [worker, Moment("time", "its lease runs out, and the next start is accepted", next_start)],
        claimable(product, [worker]),
        also=still_waits,
    )


def of_a_worker(product: Product, *, full: bool) -> Iterator[Result]:
    """With two workers, and their kernels. Not `full`: fewer ways, and fewer switches."""
    worker, other = WorkerActor(product, "worker"), WorkerActor(product, "other worker")
    start, cancel = product.apis[0].actor("/start"), product.apis[0].actor("/cancel")
    time = time_passes(product.data, LEASE)
    one, both = claimable(product, [worker]), claimable(product, [worker, other])
    truth = one_cancel_one_run(cancel)
    ways: tuple[Way, ...] = WAYS if full else ("kill", "pause")
    yield from crashes("run", product, worker, one, ways)
    to_be_cancelled = claimable(product, [worker], cancelled=True)
    yield from crashes(
        "run that finds a cancel", product, worker, to_be_cancelled, WAYS if full else ["kill"]
    )
    two = [worker, other]
    together: list[tuple[str, Sequence[Actor], Callable[[], None], Sequence[Actor], Also]] = [
        ("cancel and finish", [worker, cancel], one, [], truth),
        ("two workers with one message", two, both, two, nothing_else),
        ("start, and the end of a run", [worker, start], one, [], nothing_else),
    ]
    for trial, actors, reset, alike, also in together:
        bound = 2 if full else 1
        yield pairs(trial, product, actors, reset, preemptions=bound, alike=alike, also=also)
        if full:
            yield pairs(
                trial,
                product,
                [*actors, time],
                reset,
                preemptions=1,
                alike=alike,
                also=also,
            )
    yield taken_over(product, worker)
    yield pairs(
        "start whose answer is lost, and a worker",
        product,
        [CutActor(start, "queues"), worker],
        waiting(product),
        preemptions=2 if full else 1,
        also=an_accepted_run_is_there,
    )
    yield pairs(
        "run and start, and Redis forgets",
        product,
        [worker, start, emptied(product)],
        one,
        preemptions=1,
        forgets=True,
    )
    product.as_it_is()
    yield late("run", product, worker, one)

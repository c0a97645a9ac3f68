"""Mistakes in plans (``backends.plan``): NumPy has none, so they are in a program of the helpers."""

from dnn.agreement.mutants.mutant import Mutant

INDEX = "plan.order[plan.position[0]]"
VECTORS = "values, gradient, *slots = plan.vectors"
DENSE = "x = as_dense(plan.x)"
FORWARD = "activation(layer.activation"


def plan_mutant(name: str, text: str, replacement: str) -> Mutant:
    return Mutant(f"plan-{name}", "run_plan", {text: replacement}, "L4")


PLAN_MUTANTS: tuple[Mutant, ...] = (
    # A plan computes elu as relu.
    plan_mutant("computes-elu-as-relu",
                FORWARD, "activation('relu' if layer.activation == 'elu' else layer.activation"),
    # A plan keeps the order of rows of its first epoch.
    plan_mutant("repeats-first-epoch",
                INDEX, "vars(update).setdefault('order', plan.order.copy())[plan.position[0]]"),
    # A plan skips updates beyond a multiple of 25.
    plan_mutant("drops-the-rest", "range(n)", "range(n - n % 25 if n > 25 else n)"),
    # A second fit trains on the examples of the first.
    plan_mutant("keeps-first-examples", DENSE, "x = as_dense(seen.setdefault(plan.x.shape, plan.x))"),
    # An empty row repeats the row before.
    plan_mutant("fills-empty-rows", DENSE,
                f"{DENSE}; x = x[np.maximum.accumulate(x.any(axis=1) * np.arange(len(x)))]"),
    # The class numbers of a plan overflow at 256.
    plan_mutant("classes-of-8-bits", "plan.y[index]", "plan.y[index] % 256"),
    # A plan of sparse examples has no label smoothing.
    plan_mutant("forgets-smoothing",
                "plan.label_smoothing", "plan.label_smoothing * (not isinstance(plan.x, Compressed))"),
    # A plan of AdamW has no weight decay.
    plan_mutant("drops-weight-decay", "plan.settings", "plan.settings[:3]"),
    # A plan does not write the optimizer's moments.
    plan_mutant("keeps-moments", VECTORS, f"{VECTORS}; slots = [slot.copy() for slot in slots]"),
    # A plan without Adam takes the first rate of a schedule.
    plan_mutant("takes-first-rate", ", last_rate)]", ", last_rate * (plan.optimizer.__name__ == 'adam'))]"),
)  # fmt: skip

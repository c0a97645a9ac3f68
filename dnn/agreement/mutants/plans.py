"""Mistakes in plans (``backends.plan``): NumPy has none, so they are in a program of the helpers."""

from dnn.agreement.mutants.mutant import Mutant

INDEX = "plan.order[plan.position[0]]"
VECTORS = "values, gradient, *slots = plan.vectors"
DENSE = "x = as_dense(plan.x)"
FORWARD = "activation(layer.activation"
SHORT_COLUMNS = "x = x._replace(columns=x.columns % (1 << 16)) if isinstance(x, Compressed) else x"


def plan_mutant(name: str, mistake: str, text: str, replacement: str) -> Mutant:
    return Mutant(f"plan-{name}", mistake, "L4", "run_plan", {text: replacement})


PLAN_MUTANTS: tuple[Mutant, ...] = (
    plan_mutant("drops-third-activation", "a plan computes at most two activations",
                FORWARD, "activation(layer.activation if len(passed) < 2 else 'linear'"),
    plan_mutant("computes-elu-as-relu", "a plan computes elu as relu",
                FORWARD, "activation('relu' if layer.activation == 'elu' else layer.activation"),
    plan_mutant("repeats-first-epoch", "a plan keeps the order of rows of its first epoch",
                INDEX, "vars(update).setdefault('order', plan.order.copy())[plan.position[0]]"),
    plan_mutant("drops-rows-beyond-128", "a plan takes at most 128 rows of a batch",
                INDEX, f"{INDEX}[:128]"),
    plan_mutant("skips-a-single-row", "a plan takes the first example for a batch of one row",
                INDEX, f"{INDEX} * (plan.order.shape[1] > 1)"),
    plan_mutant("drops-the-rest", "a plan skips updates beyond a multiple of 25",
                "range(n)", "range(n - n % 25 if n > 25 else n)"),
    plan_mutant("keeps-first-examples", "a second fit trains on the examples of the first",
                DENSE, "x = as_dense(seen.setdefault(plan.x.shape, plan.x))"),
    plan_mutant("fills-empty-rows", "an empty row repeats the row before", DENSE,
                f"{DENSE}; x = x[np.maximum.accumulate(x.any(axis=1) * np.arange(len(x)))]"),
    plan_mutant("rows-of-255-numbers", "a row has at most 256 numbers",
                DENSE, f"{DENSE}; x = x * ((x != 0).cumsum(axis=1) <= 256)"),
    plan_mutant("rows-of-16-bits", "the row numbers of a plan overflow at 65,536",
                INDEX, f"{INDEX} % (1 << 16)"),
    plan_mutant("columns-of-16-bits", "the column numbers of a sparse plan overflow at 65,536",
                DENSE, f"x = plan.x; {SHORT_COLUMNS}; x = as_dense(x)"),
    plan_mutant("classes-of-8-bits", "the class numbers of a plan overflow at 256",
                "plan.y[index]", "plan.y[index] % 256"),
    plan_mutant("forgets-smoothing", "a plan of sparse examples has no label smoothing",
                "plan.label_smoothing", "plan.label_smoothing * (not isinstance(plan.x, Compressed))"),
    plan_mutant("drops-weight-decay", "a plan of AdamW has no weight decay",
                "plan.settings", "plan.settings[:3]"),
    plan_mutant("keeps-moments", "a plan does not write the optimizer's moments",
                VECTORS, f"{VECTORS}; slots = [slot.copy() for slot in slots]"),
    plan_mutant("skips-last-rate", "a plan repeats a schedule's last rate but one",
                ", last_rate)]", ", last_rate - 1)]"),
    plan_mutant("takes-first-rate", "a plan without Adam takes the first rate of a schedule",
                ", last_rate)]", ", last_rate * (plan.optimizer.__name__ == 'adam'))]"),
)  # fmt: skip

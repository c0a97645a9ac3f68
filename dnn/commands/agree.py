"""Prove that all backends agree with a float64 oracle, and so with each other and with native PyTorch."""

import argparse
from typing import NoReturn

from backends import InputError
from dnn.commands import command_line, options
from dnn.random import stream_key
from dnn.validation.settings import positive_integer


def parse() -> argparse.Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: agree.py --backends numpy,torch --quick. L5 trains for minutes and runs only when "
        "named. exit code: 0 all bounds hold, 1 some bound is broken, 2 bad input or a backend that cannot "
        "run.",
    )
    parser.add_argument(
        "--backends",
        metavar="A,B,...",
        help="numpy, torch, cupy, strict, pytorch (native autograd and torch.optim), onnxruntime "
        "(forward alone, L0 to L2), registered names, each with :device where wanted (torch:cuda); "
        "default: all that can run",
    )
    parser.add_argument("--levels", metavar="L0,...", help="some of L0 to L5 (default: L0,L1,L2,L3,L4)")
    parser.add_argument("--quick", action="store_true", help="fewer batches and steps: under a minute")
    options.add_data_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="of weights, rows and random numbers")
    parser.add_argument(
        "--precision", default="float32", help="float32, or tf32 (CUDA only), with its own bounds"
    )
    parser.add_argument(
        "--mutant",
        metavar="NAME",
        help="check NumPy with one mistake built in (docs/agreement.md): it must fail",
    )
    parser.add_argument("--json", action="store_true", help="print every comparison as JSON, not the table")
    long = parser.add_argument_group("L5, accuracies")
    long.add_argument("--epochs", type=int, default=10, help="default: %(default)s")
    long.add_argument("--seeds", type=int, default=5, help="default: %(default)s")
    long.add_argument("--limit", type=int, metavar="N", help="only the first N training images")
    return parser.parse_args()


def agree(arguments: argparse.Namespace) -> int:
    from dnn import agreement
    from dnn.agreement import report
    from dnn.datasets import load_dataset

    stream_key(arguments.seed, "check")  # refuses a bad seed before anything is done
    known = dict.fromkeys((*agreement.LEVELS, "L5"))
    levels = command_line.parse_names("level", arguments.levels or ",".join(agreement.LEVELS), known)
    for name in ("epochs", "seeds"):
        positive_integer(name, getattr(arguments, name))
    contenders: list[agreement.Contender] = []
    missing: dict[str, str] = {}
    if arguments.mutant is not None:
        contenders.append(agreement.get_mutant(arguments.mutant))
    if arguments.backends is not None:
        names = dict.fromkeys(arguments.backends.split(","))
        contenders += [agreement.get_contender(name, arguments.precision) for name in names]
    elif arguments.mutant is None:
        contenders, missing = agreement.available_contenders(arguments.precision)
    for contender in contenders:
        parts = contender.missing_parts()
        missing |= {f"{contender.name} on {part}": "it has no counterpart there" for part in parts}
    data = load_dataset(arguments.dataset, arguments.data_dir)
    # 2000 examples are more than all batches together need, and are fast to draw from.
    few = agreement.Data(data.x_train[:2000], data.y_train[:2000], data.classes)
    sizes = agreement.QUICK if arguments.quick else agreement.FULL
    judged = [level for level in levels if level != "L5"]
    records = agreement.check(contenders, few, levels=judged, sizes=sizes, seed=arguments.seed)
    if "L5" in levels:
        limit = None if arguments.limit is None else positive_integer("limit", arguments.limit)
        train = agreement.Data(data.x_train[:limit], data.y_train[:limit], data.classes)
        test = agreement.Data(data.x_test, data.y_test, data.classes)
        records += agreement.accuracy_level(
            contenders, train, test, epochs=arguments.epochs, seeds=arguments.seeds
        )
    if not records:
        alone = "one that computes forward alone (onnxruntime) is compared at L0 to L2"
        raise InputError(f"levels {','.join(levels)} compare nothing of these backends; {alone}")
    about = {c.name: c.describe() for c in contenders}
    if arguments.json:
        text = report.as_json(records, missing, vars(arguments), about)
    else:
        text = report.table(records, missing)
    print(text, flush=True)
    return 0 if all(record.holds for record in records) else 1


def main() -> NoReturn:
    command_line.run(agree, parse)

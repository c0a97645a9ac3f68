"""Check that all backends agree with a float64 oracle, and so with each other and with native PyTorch."""

import runpy
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from backends import get_backend
from backends.errors import InputError, reraise
from dnn.commands import command_line, options
from dnn.commands.pictures import is_folder, load_own_dataset
from dnn.commands.presets import PRESETS
from dnn.commands.run_folder import load_run
from dnn.datasets import Dataset
from dnn.sequential import Sequential
from dnn.settings.checks import positive_integer


def parse() -> Namespace:
    parser = command_line.Parser(
        description=__doc__,
        epilog="example: %(prog)s --backends numpy,torch --quick. L5 trains for minutes, so it runs only if "
        "--levels names it. exit code: 0 all bounds hold, 1 a bound is broken, 2 bad input, a named "
        "backend cannot run, or NumPy's float64 arithmetic is wrong.",
    )
    parser.add_argument(
        "--backends",
        metavar="A,B,...",
        help="numpy, torch, cupy, strict, pytorch (native autograd and torch.optim) or a registered "
        "backend, optionally with :device (torch:cuda); default: all that can run",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--levels", metavar="L0,...", help="levels from L0 to L5 (default: L0,L1,L2,L3,L4)")
    what.add_argument(
        "--bits",
        action="store_true",
        help="only train in the precision 'reproducible' and compare the weights bit by bit; --quick trains "
        "less",
    )
    parser.add_argument("--quick", action="store_true", help="fewer batches and steps; about a minute")
    options.add_data_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, rows and random numbers")
    parser.add_argument(
        "--precision",
        default="float32",
        help="float32, tf32 (CUDA only) with wider bounds, or reproducible (docs/reproducible.md)",
    )
    parser.add_argument(
        "--mutant",
        metavar="A,B,...",
        help="check NumPy with a deliberate mistake, each by itself (see docs/agreement.md); the check must "
        "fail. Mutants of code that all backends share need a run for each",
    )
    what.add_argument(
        "--my-layer", metavar="FILE", type=Path,
        help="compare backward of the layers, losses and activations in this Python file with finite "
        "differences, and nothing else: rounding, or a bug and the first wrong number",
    )  # fmt: skip
    what.add_argument(
        "--like", metavar="RUN", type=Path,
        help="only repeat the calls and updates of a training, with its examples: run folder or saved model",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print every comparison as JSON")
    accuracy = parser.add_argument_group("L5 (accuracy)")
    accuracy.add_argument("--epochs", type=int, default=10, help="epochs per training (default: %(default)s)")
    accuracy.add_argument("--seeds", type=int, default=5, help="trainings per backend (default: %(default)s)")
    return parser.parse_args()


def check_file(path: Path) -> int:
    """Print the verdict on each part that a Python file defines; return 1 if one has a bug, else 0."""
    from dnn.agreement.gradcheck.comparison import Part, gradcheck
    from dnn.layers import Layer
    from dnn.losses import Loss

    with reraise((Exception, SystemExit), f"{path} cannot be run:"):
        names = runpy.run_path(str(path), run_name="my_layer")
    parts: dict[str, Any] = {}
    for name, part in names.items():
        if isinstance(part, type) and issubclass(part, (Layer, Loss)) and part.__module__ == "my_layer":
            cure = "define the missing methods, and defaults of the settings or examples = ({...},)"
            with reraise(TypeError, f"{name} cannot be created:", cure=cure):
                parts[name] = part(**part.examples[0])
        elif isinstance(part, Part):
            parts[name] = part
    if not parts:
        raise InputError(
            f"{path} defines no part",
            "a subclass of Layer or Loss, or an ActivationFunction",
            "check functions in Python with gradcheck(backward, forward=forward, x=x)",
        )
    verdicts = [gradcheck(part)._replace(name=name) for name, part in parts.items()]
    for verdict in verdicts:
        command_line.print_result(verdict)
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def replays(arguments: Namespace, data: Dataset) -> Iterator[tuple[Sequential, Any, Any, int]]:
    """Yield (model, x, y, batch size) of the run, or of the presets "lecture" and "cnn" for MNIST.

    If the data set is not MNIST, random bytes of its shape are used.
    """
    from dnn.datasets import load_dataset

    if arguments.like is not None:
        config, model = load_run(arguments.like, partial(get_backend, "numpy"))
        name = config["dataset"] or arguments.dataset
        if is_folder(name):
            data = load_own_dataset(Namespace(**config))
        else:
            data = load_dataset(name, arguments.data_dir)
        n = config.get("limit")
        yield model, data.x_train[:n], data.y_train[:n], config.get("batch_size", 100)
        return
    x = data.x_train
    y = data.y_train
    if x.shape != (60000, 784):
        rng = np.random.default_rng(0)
        x = rng.integers(256, size=(60000, 784), dtype=np.uint8) * (rng.random(784) < 0.2)
        y = rng.integers(10, size=60000)
    for preset in (PRESETS["lecture"], PRESETS["cnn"]):
        layers = preset.layers((28, 28), 10)
        model = Sequential(layers, input_shape=(784,), backend="numpy", seed=arguments.seed)
        model.compile(preset.loss, preset.optimizer(600 * preset.epochs))
        yield model, x, y, preset.batch_size


def agree(arguments: Namespace) -> int:
    from dnn import agreement
    from dnn.agreement import report

    if arguments.my_layer is not None:
        return check_file(arguments.my_layer)
    from dnn.datasets import load_dataset

    asked = arguments.levels or ",".join(agreement.LEVELS)
    levels = command_line.parse_names("level", asked, {**agreement.LEVELS, "L5": ()})
    if arguments.bits or arguments.like:
        levels = []
    for name in ("epochs", "seeds"):
        positive_integer(name, getattr(arguments, name))
    contenders: list[agreement.Contender] = []
    missing: dict[str, str] = {}
    if arguments.mutant is not None:
        contenders += [agreement.get_mutant(name) for name in arguments.mutant.split(",")]
    if arguments.backends is not None:
        names = dict.fromkeys(arguments.backends.split(","))
        contenders += [agreement.get_contender(name, arguments.precision) for name in names]
    elif arguments.mutant is None:
        contenders, missing = agreement.available_contenders(arguments.precision)
    data = load_dataset(arguments.dataset, arguments.data_dir)
    # 2000 examples are more than all batches need together, and drawing from them is fast.
    subset = agreement.Data(data.x_train[:2000], data.y_train[:2000], data.classes)
    sizes = agreement.QUICK if arguments.quick else agreement.FULL
    records = agreement.check(
        contenders, subset, levels=[level for level in levels if level != "L5"], sizes=sizes,
        seed=arguments.seed,
    )  # fmt: skip
    by_default = arguments.levels is None and not arguments.bits
    if arguments.like or (by_default and not arguments.mutant):
        for training in replays(arguments, data):
            records += agreement.replay_level(contenders, *training, seed=arguments.seed)
    if arguments.bits or (arguments.quick and by_default and not arguments.like):
        records += agreement.bits_level(contenders, subset, seed=arguments.seed, quick=arguments.quick)
    if "L5" in levels:
        train = agreement.Data(data.x_train, data.y_train, data.classes)
        test = agreement.Data(data.x_test, data.y_test, data.classes)
        records += agreement.accuracy_level(
            contenders, train, test, epochs=arguments.epochs, seeds=arguments.seeds
        )
    if not records:
        cure = "add a backend such as numpy, since --bits and --like leave out pytorch"
        raise InputError(f"nothing of {arguments.backends} is compared", cure=cure)
    about = {c.name: c.backend.describe() for c in contenders}
    if arguments.json:
        text = report.as_json(records, missing, vars(arguments), about)
    else:
        text = report.table(records, missing)
    command_line.print_result(text)
    return 0 if all(record.holds for record in records) else 1


def main() -> NoReturn:
    command_line.run(agree, parse)

#!/usr/bin/env python3
"""Evaluate a trained run on its test set, on any backend."""

import argparse

import _command


def parse() -> argparse.Namespace:
    parser = _command.Parser(
        description=__doc__,
        epilog="example: evaluate.py runs/first --backend torch, after train.py --run-dir runs/first",
    )
    _command.add_run_arguments(parser)
    _command.add_data_arguments(parser, None, "default: the one it was trained on")
    _command.add_backend_arguments(parser, default="numpy", dtype=False)
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    from dnn.datasets import load_dataset

    config, model = _command.open_run(arguments)
    name = arguments.dataset or str(config.get("dataset"))
    data = load_dataset(name, arguments.data_dir)
    loss, accuracy = model.evaluate(data.x_test, data.y_test)
    if arguments.json:
        _command.print_json(
            {"run": str(arguments.run), "dataset": name, "examples": len(data.x_test), "loss": float(loss),
             "accuracy": float(accuracy), "backend": model.backend.name}
        )  # fmt: skip
        return
    print(
        f"test accuracy {accuracy:.4f}  test loss {loss:.4f}  {len(data.x_test)} {name} images  "
        f"{model.backend.name}"
    )


if __name__ == "__main__":
    _command.run(main, parse())

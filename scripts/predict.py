#!/usr/bin/env python3
import checkout  # noqa: F401

from dnn.__main__ import run

run("predict")

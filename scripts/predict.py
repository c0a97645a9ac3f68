#!/usr/bin/env python3
import sys

sys.path.append(__file__.removesuffix("predict.py"))  # left out by python -P and -I
import checkout  # noqa: F401

from dnn.commands.predict import main

main()

#!/usr/bin/env python3
import sys

sys.path.append(__file__.removesuffix("export.py"))  # left out by python -P and -I
import checkout  # noqa: F401

from dnn.commands.export import main

main()

#!/usr/bin/env python3
import sys

sys.path.append(__file__.removesuffix("agree.py"))  # left out by python -P and -I
import checkout  # noqa: F401

from dnn.commands.agree import main

main()

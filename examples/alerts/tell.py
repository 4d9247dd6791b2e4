#!/usr/bin/env python3
"""Writes what it is told into a file beside it, a line each."""

import json
import pathlib
import sys

message = json.load(sys.stdin)
line = f"{message['state']} {message['severity']} {message['summary']}\n"
with open(pathlib.Path(__file__).with_name(sys.argv[1]), "a") as told:
    told.write(line)

#!/usr/bin/python3
"""Brings the catalogue to its newest version, once. Running it again changes nothing."""

import json
import os
import sys

from redis_client import Redis

CATALOGUE = {
    "bridle": {"title": "Bridle, plain brown", "cents": 4900},
    "oats": {"title": "Oats, one sack", "cents": 1250},
    "horseshoe": {"title": "Horseshoe, set of four", "cents": 3200},
    "lantern": {"title": "Stable lantern", "cents": 2750},
}
VERSION = 1


def main():
    redis = Redis(int(os.environ["SHOP_REDIS_PORT"]))
    version = int(redis("GET", "shop:version") or 0)
    if version >= VERSION:
        print(f"migrate: the catalogue is at version {version}, nothing to do", flush=True)
        return
    steps = [("HSET", "shop:items", key, json.dumps(item)) for key, item in CATALOGUE.items()]
    redis.transaction([*steps, ("SET", "shop:version", VERSION)])
    print(f"migrate: wrote {len(CATALOGUE)} items, the catalogue is at version {VERSION}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"migrate: {error}")

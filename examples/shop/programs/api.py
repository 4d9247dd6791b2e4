#!/usr/bin/python3
"""The shop's API: what there is to buy, and orders. Everything it knows is in Redis."""

import json
import os
import threading

from http_service import Handler, serve
from redis_client import Redis

REDIS_PORT = int(os.environ["SHOP_REDIS_PORT"])
PORT = int(os.environ["SHOP_API_PORT"])
local = threading.local()


def redis():
    """The connection of this thread."""
    if not hasattr(local, "redis"):
        local.redis = Redis(REDIS_PORT)
    return local.redis


def reply(status, content):
    return status, "application/json", json.dumps(content) + "\n"


def health(request, body):
    redis()("PING")
    return reply(200, {"status": "ok", "pid": os.getpid()})


def items(request, body):
    found = redis()("HGETALL", "shop:items")
    pairs = zip(found[::2], found[1::2])
    return reply(200, {key: json.loads(item) for key, item in sorted(pairs)})


def order(request, body):
    """Takes `{"item": "oats", "quantity": 2}`, puts it where the worker looks, and answers its number."""
    try:
        asked = json.loads(body)
        item, quantity = str(asked["item"]), int(asked.get("quantity", 1))
    except (ValueError, TypeError, KeyError):
        return reply(400, {"error": 'send {"item": NAME, "quantity": NUMBER}'})
    if not 1 <= quantity <= 100:
        return reply(400, {"error": "quantity is 1 to 100"})
    if not redis()("HEXISTS", "shop:items", item):
        return reply(404, {"error": f"there is no {item!r}"})
    number = redis()("INCR", "shop:orders:last")
    details = ("HSET", f"shop:order:{number}", "item", item, "quantity", quantity, "state", "queued")
    redis().transaction([details, ("LPUSH", "shop:orders:queue", number)])
    print(f"api: order {number}, {quantity} × {item}", flush=True)
    return reply(202, {"order": number})


def orders(request, body):
    """How many orders came in and how many the worker has packed."""
    last, packed = redis().pipeline([("GET", "shop:orders:last"), ("GET", "shop:orders:packed")])
    return reply(200, {"placed": int(last or 0), "packed": int(packed or 0)})


class Api(Handler):
    routes = {
        ("GET", "/health"): health,
        ("GET", "/items"): items,
        ("POST", "/order"): order,
        ("GET", "/orders"): orders,
    }


if __name__ == "__main__":
    serve("api", PORT, Api)

#!/usr/bin/python3
"""The shop's figures in the Prometheus text format."""

import os

from http_service import Handler, serve
from redis_client import Redis

PORT = int(os.environ["SHOP_METRICS_PORT"])
REDIS_PORT = int(os.environ["SHOP_REDIS_PORT"])

FIGURES = [
    ("shop_orders_placed_total", "counter", "Orders taken by the API.", ("GET", "shop:orders:last")),
    ("shop_orders_packed_total", "counter", "Orders packed by the worker.", ("GET", "shop:orders:packed")),
    ("shop_orders_waiting", "gauge", "Orders that nobody packs yet.", ("LLEN", "shop:orders:queue")),
    ("shop_worker_tick", "gauge", "The worker's last tick; 0 when it has not moved for five seconds.", ("GET", "shop:worker:tick")),
]


def metrics(request, body):
    redis = Redis(REDIS_PORT)
    try:
        values = redis.pipeline([command for _, _, _, command in FIGURES])
    finally:
        redis.close()
    text = "".join(
        f"# HELP {name} {about}\n# TYPE {name} {kind}\n{name} {int(value or 0)}\n"
        for (name, kind, about, _), value in zip(FIGURES, values)
    )
    return 200, "text/plain; version=0.0.4", text


class Metrics(Handler):
    routes = {("GET", "/metrics"): metrics}


if __name__ == "__main__":
    serve("metrics", PORT, Metrics)

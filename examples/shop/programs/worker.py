#!/usr/bin/python3
"""Packs orders, one after the other.

It writes one numbered line per tick, so that anyone can see from its log alone that no line was lost and none came twice:
`tick 1`, `tick 2`, … An order moves from the queue to a list of its own while it is packed, and from there it is either
packed or, when the worker died, put back.
"""

import os
import signal
import time

from redis_client import Redis

TICK = float(os.environ.get("SHOP_TICK_SECONDS", "0.2"))
QUEUE, PACKING = "shop:orders:queue", "shop:orders:packing"


class Worker:
    def __init__(self, redis):
        self.redis = redis
        self.stopping = False
        self.ticks = 0

    def run(self):
        while not self.stopping:
            try:
                self.take_up_what_was_left()
                self.pack_until_stopped()
            except OSError as error:
                # Redis is away. That is not this program's fault: it stays, says so, and tries again.
                self.tick(f"waiting for redis: {error}")
                time.sleep(TICK)

    def take_up_what_was_left(self):
        while self.redis("RPOPLPUSH", PACKING, QUEUE):
            print("worker: put back an order that was not finished", flush=True)

    def pack_until_stopped(self):
        while not self.stopping:
            number = self.redis("BLMOVE", QUEUE, PACKING, "RIGHT", "LEFT", TICK)
            news = self.pack(number) if number else "idle"
            self.tick(news)

    def pack(self, number):
        packed = [("HSET", f"shop:order:{number}", "state", "packed"), ("LREM", PACKING, 1, number), ("INCR", "shop:orders:packed")]
        self.redis.transaction(packed)
        return f"packed order {number}"

    def tick(self, news):
        self.ticks += 1
        print(f"tick {self.ticks} {news}", flush=True)
        if not news.startswith("waiting"):
            # what checks/worker-moves.sh looks at: gone five seconds after the last tick
            self.redis("SET", "shop:worker:tick", self.ticks, "PX", 5000)

    def stop(self, number, frame):
        print(f"worker: {signal.Signals(number).name}, stopping after this tick", flush=True)
        self.stopping = True


if __name__ == "__main__":
    worker = Worker(Redis(int(os.environ["SHOP_REDIS_PORT"])))
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    print(f"worker: started, pid {os.getpid()}", flush=True)
    worker.run()
    print(f"worker: stopped after tick {worker.ticks}", flush=True)

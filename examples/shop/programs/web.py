#!/usr/bin/python3
"""The shop's front: one page with everything to buy and a button to order it.

It needs the API. It is glad of the figures: without them the page lacks one sentence.
"""

import html
import json
import os
import urllib.error
import urllib.parse
import urllib.request

from http_service import Handler, serve

PORT = int(os.environ["SHOP_WEB_PORT"])
API = f"http://127.0.0.1:{os.environ['SHOP_API_PORT']}"
METRICS = f"http://127.0.0.1:{os.environ['SHOP_METRICS_PORT']}/metrics"

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The Hostler's Shop</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 40em; margin: 3em auto }} form {{ display: inline }} td {{ padding: .2em 1em .2em 0 }}</style>
<h1>The Hostler's Shop</h1>
<table>{rows}</table>
<p>{placed} ordered, {packed} packed.{waiting}</p>
"""
ROW = '<tr><td>{title}<td>{price}<td><form method="post" action="/order"><button name="item" value="{key}">Order</button></form>'


def api(path, content=None):
    """One call of the API. Its refusals are answers; that it is away is an `OSError`."""
    body = None if content is None else json.dumps(content).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(API + path, body), timeout=3) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def waiting():
    """How many orders wait, as a sentence; nothing when nobody counts."""
    try:
        with urllib.request.urlopen(METRICS, timeout=1) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return ""
    return "".join(f" {line.split()[1]} waiting." for line in lines if line.startswith("shop_orders_waiting "))


def front(request, body):
    (status, items), (_, orders) = api("/items"), api("/orders")
    if status != 200:
        return status, "text/plain", f"the api says: {items['error']}\n"
    rows = "\n".join(
        ROW.format(key=html.escape(key), title=html.escape(item["title"]), price=f"{item['cents'] / 100:.2f}")
        for key, item in items.items()
    )
    return 200, "text/html", PAGE.format(rows=rows, waiting=waiting(), **orders)


def order(request, body):
    """Passes a form's order on, and answers a browser with the front page, everybody else with JSON."""
    item = urllib.parse.parse_qs(body).get("item", [""])[0]
    status, answer = api("/order", {"item": item})
    if status == 202 and "text/html" in request.headers.get("Accept", ""):
        return 303, "text/plain", "ordered\n", "/"
    return status, "application/json", json.dumps(answer) + "\n"


def health(request, body):
    return 200, "text/plain", "ok\n"


class Web(Handler):
    routes = {("GET", "/"): front, ("POST", "/order"): order, ("GET", "/health"): health}


if __name__ == "__main__":
    serve("web", PORT, Web)

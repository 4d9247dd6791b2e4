"""A client of the image orchestrator, written from "FastAPI Orchestrator" alone. `fastapi_client.py SOCKET refusals`, or `… images IMAGE`."""

import json
import sys
import time
import urllib.request
from urllib.parse import quote

from wire import Host, alike, quoted, same

# The examples of the document, as it prints them.
OF_IMAGE = quoted("""{
  "image": "nginx:alpine",
  "containers": [
    {
      "container_id": "abc123",
      "name": "nginx1",
      "status": "running",
      "ports": {"80/tcp": [{"HostPort": "8080"}]}
    }
  ]
}""")
CONTAINER = OF_IMAGE["containers"][0]
START = quoted("""{
    "image": "nginx:alpine",
    "min_replicas": 1,
    "max_replicas": 3,
    "env": {},
    "ports": {"80/tcp": 0},
    "resources": {"cpu": "500m", "memory": "256m", "status": "running"}
  }""")
SCALE = {"min_replicas": 2, "max_replicas": 5}
# The keys that the document's `image_health` puts together.
HEALTH = ["container_id", "name", "status", "ports", "server_alive", "cpu_percent", "mem_percent", "fs_free_bytes"]


def refusals(host):
    """What needs no engine."""
    same(host.get("/health"), {"ok": True})
    same(host.get("/images"), {"images": []})
    same(host.get("/containers"), {"containers": []})
    for image in ["nginx:alpine", "library/nginx:alpine", "library%2Fnginx%3Aalpine"]:
        name = image.replace("%2F", "/").replace("%3A", ":")
        same(host.get(f"/images/{image}/containers"), {"image": name, "containers": []})
        same(host.get(f"/images/{image}/health"), {"image": name, "health": []})
        same(host.ask("POST", f"/images/{image}/scale", SCALE), (500, {"detail": "scale-failed"}))
        same(host.ask("POST", f"/images/{image}/reconcile"), (500, {"detail": "reconcile-failed"}))
    for method in ["PATCH", "DELETE"]:
        body = {"status": "stopped"} if method == "PATCH" else None
        same(host.ask(method, "/containers/nginx1", body), (404, {"detail": "Container 'nginx1' not found"}))
    same(host.ask("GET", "/images/nginx/scale"), (405, {"detail": "Method Not Allowed"}))
    same(host.ask("POST", "/images/nginx/dance"), (404, {"detail": "Not Found"}))

    mistake(host, "POST", "/start/container", b"", "missing", ["body"])
    mistake(host, "POST", "/start/container", b"hello", "json_invalid", ["body", 0])
    mistake(host, "POST", "/start/container", b"[]", "model_attributes_type", ["body"])
    mistake(host, "POST", "/start/container", {**START, "min_replicas": -1}, "greater_than_equal", ["body", "min_replicas"])
    mistake(host, "POST", "/start/container", {**START, "max_replicas": 0}, "greater_than_equal", ["body", "max_replicas"])
    mistake(host, "POST", "/start/container", {**START, "min_replicas": 4}, "value_error", ["body"])
    mistake(host, "POST", "/start/container", {**START, "ports": {"80/tcp": 65536}}, "less_than_equal", ["body", "ports", "80/tcp"])
    mistake(host, "POST", "/start/container", {**START, "ports": {"80/tcp": -1}}, "greater_than_equal", ["body", "ports", "80/tcp"])
    mistake(host, "POST", "/start/container", {**START, "env": {"A": 5}}, "string_type", ["body", "env", "A"])
    mistake(host, "POST", "/start/container", {**START, "image": None}, "string_type", ["body", "image"])
    sizes = {**START["resources"], "memory": "lots"}
    mistake(host, "POST", "/start/container", {**START, "resources": sizes}, "value_error", ["body", "resources", "memory"])
    paused = {**START["resources"], "status": "paused"}
    mistake(host, "POST", "/start/container", {**START, "resources": paused}, "literal_error", ["body", "resources", "status"])
    mistake(host, "POST", "/images/nginx:alpine/scale", {"min_replicas": 5, "max_replicas": 2}, "value_error", ["body"])
    mistake(host, "POST", "/images/nginx:alpine/scale", {}, "missing", ["body", "min_replicas"])
    mistake(host, "PATCH", "/containers/nginx1", {"status": "paused"}, "literal_error", ["body", "status"])
    mistake(host, "DELETE", "/containers/nginx1?force=maybe", None, "bool_parsing", ["query", "force"])
    same(host.get("/images"), {"images": []})


def mistake(host, method, path, body, kind, loc):
    status, answer = host.ask(method, path, body)
    assert status == 422 and list(answer) == ["detail"], f"{method} {path} {body}: {status} {answer}"
    first = answer["detail"][0]
    same((first["type"], first["loc"]), (kind, loc))
    assert first["msg"] and "input" in first, first


def images(host, image):
    """What an engine is needed for: from the first container to the last."""
    path = f"/images/{quote(image, safe='')}"
    start = {**START, "image": image}
    status, started = host.ask("POST", "/start/container", start)
    assert status == 200 and started["ok"] is True, (status, started)
    same(started["image"], image)
    alike(CONTAINER, {key: started[key] for key in CONTAINER})
    same(started["status"], "running")
    served = urllib.request.urlopen(f"http://127.0.0.1:{started['ports']['80/tcp'][0]['HostPort']}/index.html", timeout=10)
    same(served.read(), b"fine\n")

    # Percent-encoded, and as it is.
    for found in [host.get(f"{path}/containers"), host.get(f"/images/{image}/containers")]:
        alike(OF_IMAGE, found)
        same((found["image"], [one["container_id"] for one in found["containers"]]), (image, [started["container_id"]]))
    same(host.get("/containers")["containers"], host.get(f"{path}/containers")["containers"])
    same(host.get("/images"), {"images": [start]})
    # The same again changes nothing.
    same(host.ask("POST", "/start/container", start)[1]["container_id"], started["container_id"])

    health = measured(host, path)
    same((health["image"], len(health["health"]), list(health["health"][0])), (image, 1, HEALTH))
    one = health["health"][0]
    same((one["server_alive"], one["status"]), (True, "running"))
    assert one["cpu_percent"] >= 0 and 0 < one["mem_percent"] < 100 and (one["fs_free_bytes"] or 1) > 0, one

    status, scaled = host.ask("POST", f"{path}/scale", SCALE)
    assert status == 200 and scaled["ok"] is True, (status, scaled)
    two = ids(host, path)
    assert len(two) == 2 and two[started["container_id"]] == "running", two
    status, reconciled = host.ask("POST", f"/images/{image}/reconcile")
    same((status, reconciled["ok"], ids(host, path)), (200, True, two))

    stopped(host, path, image, started["name"], two)
    deleted(host, path)
    desired_stopped(host, path, start)
    status, answer = host.ask("POST", "/start/container", {**START, "image": "localhost:1/hostler-test-none:1"})
    assert status == 500 and isinstance(answer["detail"], str) and "localhost:1" in answer["detail"], (status, answer)


def stopped(host, path, image, name, two):
    """One of two is stopped, and started again; the other one goes on."""
    (other,) = [one for one in host.get(f"{path}/containers")["containers"] if one["name"] != name]
    status, patched = host.ask("PATCH", f"/containers/{name}", {"status": "stopped"})
    assert status == 200 and patched["ok"] is True and patched["status"] == "stopped", (status, patched)
    alike({**CONTAINER, "ports": {}}, {**{key: patched[key] for key in CONTAINER}, "ports": {}})
    now = ids(host, path)
    same((len(now), now[other["container_id"]], now[patched["container_id"]]), (2, "running", "stopped"))
    health = {one["name"]: one for one in host.get(f"{path}/health")["health"]}
    same((health[name]["server_alive"], health[name]["cpu_percent"]), (False, None))
    # Again changes nothing; by its id, too.
    same(host.ask("PATCH", f"/containers/{patched['container_id']}", {"status": "stopped"})[1]["status"], "stopped")
    for _ in range(2):
        # The name that it had means it still.
        status, patched = host.ask("PATCH", f"/containers/{name}", {"status": "running"})
        assert status == 200 and patched["status"] == "running", (status, patched)
    now = ids(host, path)
    same((len(now), set(now.values()), other["container_id"] in now), (2, {"running"}, True))


def deleted(host, path):
    """With grace and by force; fewer than wanted are made up for."""
    same(host.ask("POST", f"{path}/scale", {"min_replicas": 1, "max_replicas": 5})[0], 200)
    first, second = host.get(f"{path}/containers")["containers"]
    status, answer = host.ask("DELETE", f"/containers/{first['name']}")
    same((status, answer), (200, {"deleted": True, "container_id": first["container_id"], "name": first["name"]}))
    same(ids(host, path), {second["container_id"]: "running"})
    same(host.ask("DELETE", f"/containers/{first['name']}")[0], 404)
    status, answer = host.ask("DELETE", f"/containers/{second['container_id']}?force=true")
    same((status, answer["deleted"]), (200, True))
    deadline = time.monotonic() + 60
    while set(ids(host, path).values()) != {"running"}:
        assert time.monotonic() < deadline, ids(host, path)
    assert second["container_id"] not in ids(host, path)


def desired_stopped(host, path, start):
    """All of an image at rest, and one of it up again."""
    rest = {**start, "resources": {**start["resources"], "status": "stopped"}}
    status, answer = host.ask("POST", "/start/container", rest)
    same((status, answer["ok"], answer["status"]), (200, True, "stopped"))
    same([one["resources"]["status"] for one in host.get("/images")["images"]], ["stopped"])
    status, answer = host.ask("PATCH", f"/containers/{answer['name']}", {"status": "running"})
    same((status, answer["status"], list(ids(host, path).values())), (200, "running", ["running"]))


def ids(host, path):
    return {one["container_id"]: one["status"] for one in host.get(f"{path}/containers")["containers"]}


def measured(host, path):
    deadline = time.monotonic() + 60
    while True:
        health = host.get(f"{path}/health")
        if all(one["cpu_percent"] is not None and one["mem_percent"] is not None for one in health["health"]):
            return health
        assert time.monotonic() < deadline, json.dumps(health)


if __name__ == "__main__":
    parts = {part.__name__: part for part in [refusals, images]}
    parts[sys.argv[2]](Host(sys.argv[1]), *sys.argv[3:])

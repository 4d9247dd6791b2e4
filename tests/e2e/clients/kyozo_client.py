"""A client of service instances, written from "Container Orchestration Integration Guide" alone. `kyozo_client.py SOCKET PART [WORDS]`."""

import http.client
import json
import re
import sys
import time
from urllib.parse import quote

import wire
from wire import same

MEDIA = "application/vnd.api+json"
INSTANCES = "/api/v1/service_instances"

# The columns of the document's migrations, each with its type there; a `?` may be null.
INSTANCE = {
    "name": "text",
    "folder_path": "text",
    "service_type": "text",
    "status": "text",
    "container_id": "text?",
    "deployment_config": "map",
    "port_mappings": "map",
    "environment_variables": "map",
    "resource_limits": "map",
    "health_check_config": "map?",
    "scaling_config": "map",
    "last_health_check_at": "utc_datetime_usec?",
    "health_status": "text",
    "deployment_logs": "text?",
    "startup_time_ms": "integer?",
    "memory_usage_mb": "integer?",
    "cpu_usage_percent": "decimal?",
    "workspace_id": "text",
    "team_id": "text?",
    "created_by_id": "text?",
    "topology_detection_id": "text?",
    "parent_service_id": "text?",
    "created_at": "utc_datetime_usec",
    "updated_at": "utc_datetime_usec",
    "deployed_at": "utc_datetime_usec?",
    "last_accessed_at": "utc_datetime_usec?",
}
EVENT = {
    "event_type": "text",
    "event_data": "map",
    "error_message": "text?",
    "duration_ms": "integer?",
    "service_instance_id": "text",
    "triggered_by_id": "text?",
    "created_at": "utc_datetime_usec",
}
# The keys that the document's controllers put together.
METRICS = {
    "uptime_seconds": "integer?",
    "memory_usage_mb": "integer?",
    "cpu_usage_percent": "decimal?",
    "health_status": "text",
    "last_health_check_at": "utc_datetime_usec?",
    "resource_utilization": "map",
}
HEALTH = {"health_status": "text", "memory_usage_mb": "integer?", "cpu_usage_percent": "decimal?"}
# The document's check constraints.
TYPES = ["containerized", "nodejs", "python", "golang", "rust", "compose_stack", "proxy"]
STATUSES = ["detecting", "deployable", "deploying", "running", "stopped", "error", "scaling"]
HEALTHS = ["healthy", "unhealthy", "unknown"]
EVENT_TYPES = [
    "deployment_started",
    "deployment_completed",
    "deployment_failed",
    "service_started",
    "service_stopped",
    "service_scaled",
    "health_check_failed",
]
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# What the document's configuration gives to everybody.
LIMITS = {"memory": "512Mi", "cpu": "0.5", "storage": "1Gi"}


class Host(wire.Host):
    def raw(self, method, path, body=None, **headers):
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.request(method, path, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = self.getresponse()
        return answer, answer.read()

    def ask(self, method, path, body=None):
        """Status and document."""
        headers = {"Accept": MEDIA}
        if body is not None:
            headers["Content_Type"] = MEDIA
        answer, text = self.raw(method, path, body, **headers)
        if answer.status == 204:
            same(text, b"")
            return 204, None
        same((method, path, answer.getheader("content-type")), (method, path, MEDIA))
        return answer.status, json.loads(text)

    def get(self, path):
        status, document = self.ask("GET", path)
        assert status == 200, f"GET {path}: {status} {document}"
        return document


def typed(found, columns):
    """Every column, and of its type."""
    for name, kind in columns.items():
        assert name in found, f"{name} is missing: {found}"
        value, kind, may_be_null = found[name], kind.rstrip("?"), kind.endswith("?")
        if value is None:
            assert may_be_null, f"{name} is null"
        elif kind == "text":
            assert isinstance(value, str), f"{name}: {value!r}"
        elif kind == "map":
            assert isinstance(value, dict), f"{name}: {value!r}"
        elif kind == "integer":
            assert isinstance(value, int) and not isinstance(value, bool) and value >= 0, f"{name}: {value!r}"
        elif kind == "decimal":
            assert isinstance(value, (int, float)) and not isinstance(value, bool), f"{name}: {value!r}"
        else:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", value), f"{name}: {value!r}"


def resource(document):
    data = document["data"]
    same(data["type"], "service_instances")
    assert re.fullmatch(UUID, data["id"]), data["id"]
    same(data["links"]["self"], f"{INSTANCES}/{data['id']}")
    attributes = data["attributes"]
    typed(attributes, INSTANCE)
    assert attributes["service_type"] in TYPES and attributes["status"] in STATUSES and attributes["health_status"] in HEALTHS, attributes
    return data["id"], attributes


def errors(answer, status, pointer=None):
    """The document's `errors`, the first of them at this attribute."""
    same(answer[0], status)
    listed = answer[1]["errors"]
    assert listed and all(one["detail"] and one["status"] == str(status) for one in listed), answer
    if pointer is not None:
        same(listed[0]["source"]["pointer"], f"/data/attributes/{pointer}" if pointer else "")
    return listed


def body(**attributes):
    return {"data": {"type": "service_instances", "attributes": attributes}}


def program(folder, line, **more):
    return body(**{"name": "API", "folder_path": folder, "service_type": "nodejs", "deployment_config": {"command": line}, **more})


def until(host, path, key, word):
    deadline = time.monotonic() + 60
    while True:
        attributes = host.get(path)["data"]["attributes"]
        if attributes[key] == word:
            return attributes
        assert time.monotonic() < deadline, attributes


def happened(host, path):
    listed = host.get(f"{path}/events")["data"]
    for one in listed:
        same(one["type"], "deployment_events")
        assert re.fullmatch(UUID, one["id"]), one
        typed(one["attributes"], EVENT)
        assert one["attributes"]["event_type"] in EVENT_TYPES, one
    return [one["attributes"] for one in listed]


def life(host, folder):
    """From its making to its end, by what the controllers do."""
    same(host.get(INSTANCES)["data"], [])
    asked = program(folder, "sleep 1000", environment_variables={"A": "1"}, team_id="t1", workspace_id="default")
    status, document = host.ask("POST", INSTANCES, asked)
    same(status, 201)
    id, made = resource(document)
    path = f"{INSTANCES}/{id}"
    same((made["status"], made["health_status"], made["deployed_at"], made["startup_time_ms"]), ("deployable", "unknown", None, None))
    same((made["resource_limits"], made["environment_variables"], made["team_id"]), (LIMITS, {"A": "1"}, "t1"))
    same(resource(host.get(path)), (id, made))
    same(host.get(f"{path}/events")["data"], [])

    status, document = host.ask("POST", f"{path}/deploy")
    same((status, resource(document)[1]["status"]), (202, "deploying"))
    running = until(host, path, "status", "running")
    assert running["deployed_at"] and running["startup_time_ms"] is not None, running
    deployed = until_event(host, path, "deployment_completed")
    assert deployed["duration_ms"] is not None and deployed["triggered_by_id"], deployed
    kinds = [one["event_type"] for one in happened(host, path)]
    same(kinds, ["deployment_completed", "service_started", "deployment_started"])
    assert happened(host, path)[1]["duration_ms"] is not None
    same([one["event_type"] for one in host.get(f"{path}/events?limit=1")["data"] for one in [one["attributes"]]], ["deployment_completed"])

    metrics = host.get(f"{path}/metrics")["data"]
    typed(metrics, METRICS)
    assert metrics["memory_usage_mb"] is not None and metrics["cpu_usage_percent"] is not None and metrics["uptime_seconds"] is not None, metrics
    typed(host.get(f"{path}/health")["data"], HEALTH)

    # `scale(conn, %{"id" => id, "replica_count" => replica_count})`
    status, document = host.ask("PATCH", f"{path}/scale", {"replica_count": 2})
    same((status, resource(document)[1]["scaling_config"]["target_replicas"]), (200, 2))
    same(host.get(f"{path}/health")["data"]["replicas"], 2)
    assert "service_scaled" in [one["event_type"] for one in happened(host, path)]
    errors(host.ask("PATCH", f"{path}/scale", {"replica_count": "many"}), 422, "replica_count")
    errors(host.ask("PATCH", f"{path}/scale", {"replica_count": 1_001}), 422, "replica_count")
    same(host.ask("PATCH", f"{path}/scale", body(replica_count=1))[0], 200)

    for action, word in [("stop", "stopped"), ("start", "running"), ("restart", "running"), ("stop", "stopped")]:
        status, document = host.ask("POST", f"{path}/{action}")
        same((action, status, resource(document)[1]["status"]), (action, 200, word))
    stopped = [one for one in happened(host, path) if one["event_type"] == "service_stopped"]
    assert stopped and stopped[0]["duration_ms"] is not None, stopped

    status, document = host.ask("PATCH", path, {"data": {"type": "service_instances", "id": id, "attributes": {"name": "Other"}}})
    same((status, resource(document)[1]["name"], resource(document)[1]["environment_variables"]), (200, "Other", {"A": "1"}))
    # What was read can be sent back.
    status, document = host.ask("PUT", path, {"data": host.get(path)["data"]})
    same((status, resource(document)[1]["name"]), (200, "Other"))
    same([one["id"] for one in host.get(INSTANCES)["data"]], [id])
    same(host.get(f"{INSTANCES}?filter[status]=running")["data"], [])
    same(len(host.get(f"{INSTANCES}?filter[service_type]=nodejs&page[limit]=1")["data"]), 1)

    same(host.ask("DELETE", path), (204, None))
    errors(host.ask("GET", path), 404)
    same(host.get(INSTANCES)["data"], [])


def until_event(host, path, kind):
    deadline = time.monotonic() + 60
    while True:
        for one in happened(host, path):
            if one["event_type"] == kind:
                return one
        assert time.monotonic() < deadline, happened(host, path)


def logs(host, folder):
    """`lines`, 100 of them unless somebody says otherwise, and `follow`."""
    line = "sh -c 'for i in $(seq 120); do echo line $i; done; exec sleep 1000'"
    _, document = host.ask("POST", INSTANCES, program(folder, line))
    path = f"{INSTANCES}/{document['data']['id']}"
    same(host.ask("POST", f"{path}/start")[0], 200)
    deadline = time.monotonic() + 60
    while "line 120" not in (said := host.get(f"{path}/logs")["data"]["logs"]):
        assert time.monotonic() < deadline, said
    same(said.split("\n"), [f"line {number}" for number in range(21, 121)])
    same(host.get(f"{path}/logs?lines=2")["data"], {"logs": "line 119\nline 120"})
    listed = errors(host.ask("GET", f"{path}/logs?lines=some"), 400)
    same(listed[0]["source"], {"parameter": "lines"})
    other = Host(host.path)
    other.request("GET", f"{path}/logs?lines=2&follow=true")
    stream = other.getresponse()
    same([json.loads(stream.readline())["data"]["logs"] for _ in range(2)], ["line 119", "line 120"])
    other.close()
    # Both names of JSON are understood; what the controllers write with `json` is plain unless somebody asks otherwise.
    same(host.raw("GET", f"{path}/logs")[0].getheader("content-type"), "application/json")
    same(host.raw("GET", path)[0].getheader("content-type"), MEDIA)
    same(host.raw("GET", path, Accept="application/json")[0].getheader("content-type"), "application/json")
    same(host.ask("DELETE", path), (204, None))


def refusals(host, folder):
    """422 with the attribute, 404, 409, 415, and what is not built yet."""
    good = program(folder, "sleep 1000")
    _, document = host.ask("POST", INSTANCES, good)
    id = document["data"]["id"]
    errors(host.ask("POST", INSTANCES, good), 422, "folder_path")
    errors(host.ask("POST", INSTANCES, program(folder + "/", "sleep 1")), 422, "folder_path")
    errors(host.ask("POST", INSTANCES, program(f"{folder}/b", "sleep 1", service_type="cobol")), 422, "service_type")
    errors(host.ask("POST", INSTANCES, program(f"{folder}/b", "sleep 1", service_type="containerized")), 422, "deployment_config/image")
    errors(host.ask("POST", INSTANCES, program(f"{folder}/b", "sleep 1", service_type="compose_stack")), 422, "service_type")
    errors(host.ask("POST", INSTANCES, program(f"{folder}/b", "")), 422, "deployment_config/command")
    errors(host.ask("POST", INSTANCES, program("b", "sleep 1")), 422, "folder_path")
    errors(host.ask("POST", INSTANCES, program(f"{folder}/b", "sleep 1", environment_variables={"A=B": "x"})), 422, "environment_variables/A=B")
    errors(host.ask("POST", INSTANCES, program(f"{folder}/b", "sleep 1", resource_limits={"cpu": "lots"})), 422, "resource_limits/cpu")
    errors(host.ask("POST", INSTANCES, program(f"{folder}/b", "sleep 1", parent_service_id="nobody")), 422, "parent_service_id")
    strange = {"command": "sleep 1", "volumes": ["/:/host"]}
    errors(host.ask("POST", INSTANCES, program(f"{folder}/b", "", deployment_config=strange)), 422, "deployment_config/volumes")
    same(len(errors(host.ask("POST", INSTANCES, body()), 422)), 3)
    errors(host.ask("POST", INSTANCES, b"{"), 422, "")
    errors(host.ask("PATCH", f"{INSTANCES}/{id}", {"data": {"id": "other", "attributes": {}}}), 409)
    errors(host.ask("PATCH", f"{INSTANCES}/{id}", body(workspace_id="acme")), 422, "workspace_id")
    errors(host.ask("GET", f"{INSTANCES}?filter[colour]=red"), 400)
    answer, text = host.raw("POST", INSTANCES, b"name=API", Content_Type="application/x-www-form-urlencoded")
    same((answer.status, json.loads(text)["errors"][0]["status"]), (415, "415"))
    for name in ["nobody", "00000000-0000-7000-8000-000000000000", quote("a/../b", safe=""), "x" * 200]:
        errors(host.ask("GET", f"{INSTANCES}/{name}"), 404)
        errors(host.ask("POST", f"{INSTANCES}/{name}/deploy"), 404)
        errors(host.ask("DELETE", f"{INSTANCES}/{name}"), 404)
    errors(host.ask("DELETE", f"{INSTANCES}/{id}/deploy"), 405)
    # Under the same names as always, and no other.
    same(host.raw("GET", "/api/v1/services/nobody")[0].getheader("content-type"), "application/problem+json")

    detections = "/api/v1/topology_detections"
    analyze = {"workspace_id": "default", "folder_path": folder}
    for method, path, sent in [
        ("GET", detections, None),
        ("POST", detections, analyze),
        ("GET", f"{detections}/{id}", None),
        ("PATCH", f"{detections}/{id}", {}),
        ("PUT", f"{detections}/{id}", {}),
        ("DELETE", f"{detections}/{id}", None),
        ("POST", f"{detections}/{id}/analyze", analyze),
        ("POST", f"{detections}/{id}/reanalyze", None),
        ("POST", "/api/v1/workspaces/default/analyze_topology", None),
    ]:
        assert "folders" in errors(host.ask(method, path, sent), 501)[0]["detail"]
    same(host.ask("DELETE", f"{INSTANCES}/{id}"), (204, None))


def workspaces(host, folder):
    """All instances of a workspace at once."""
    path = "/api/v1/workspaces/default"
    same(host.get(f"{path}/service_status")["data"]["total_services"], 0)
    same(host.ask("POST", f"{path}/stop_services")[1]["data"], [])
    ids = []
    for name in ["one", "two"]:
        _, document = host.ask("POST", INSTANCES, program(f"{folder}/{name}", "sleep 1000", deployment_config={"command": "sleep 1000", "working_dir": folder}))
        ids.append(document["data"]["id"])
    status, document = host.ask("POST", f"{path}/deploy_services")
    same((status, [one["id"] for one in document["data"]]), (202, ids))
    for id in ids:
        until(host, f"{INSTANCES}/{id}", "status", "running")
    whole = host.get(f"{path}/service_status")["data"]
    same((whole["workspace_id"], whole["total_services"], whole["status_counts"]["running"]), ("default", 2, 2))
    same(list(sorted(whole["status_counts"])), sorted(STATUSES))
    status, document = host.ask("POST", f"{path}/stop_services")
    same((status, [one["attributes"]["status"] for one in document["data"]]), (200, ["stopped", "stopped"]))
    same(host.get(f"{path}/service_status")["data"]["status_counts"]["stopped"], 2)
    for action in ["deploy_services", "stop_services", "analyze_topology"]:
        errors(host.ask("POST", f"/api/v1/workspaces/nobody/{action}"), 404)


def broken(host, folder):
    """What does not come up, and what is ill."""
    status, document = host.ask("POST", INSTANCES, program(folder, "./nothing-here"))
    path = f"{INSTANCES}/{document['data']['id']}"
    same(host.ask("POST", f"{path}/deploy")[0], 202)
    failed = until_event(host, path, "deployment_failed")
    assert failed["error_message"] and failed["duration_ms"] is not None, failed
    attributes = until(host, path, "status", "error")
    assert "nothing-here" in attributes["deployment_logs"], attributes
    check = {"command": "false", "interval": 100, "retries": 1, "auto_recovery": False}
    changed = body(deployment_config={"command": "sleep 1000"}, health_check_config=check)
    same(host.ask("PATCH", path, changed)[0], 200)
    until(host, path, "health_status", "unhealthy")
    ill = until_event(host, path, "health_check_failed")
    assert ill["error_message"], ill
    typed(host.get(f"{path}/health")["data"], HEALTH)
    assert host.get(path)["data"]["attributes"]["last_health_check_at"]
    same(host.ask("DELETE", path), (204, None))


def kept(host, folder):
    """After a restart of the host: the same id, and what it knew."""
    (one,) = host.get(INSTANCES)["data"]
    same((one["attributes"]["folder_path"], one["attributes"]["status"]), (folder, "running"))
    kinds = [event["event_type"] for event in happened(host, f"{INSTANCES}/{one['id']}")]
    assert "deployment_completed" in kinds, kinds


def deployed(host, folder):
    """One that runs."""
    _, document = host.ask("POST", INSTANCES, program(folder, "sleep 1000"))
    path = f"{INSTANCES}/{document['data']['id']}"
    same(host.ask("POST", f"{path}/deploy")[0], 202)
    until_event(host, path, "deployment_completed")


def container(host, image):
    """A container of an image, with a published port and a check of it."""
    asked = body(
        name="Page",
        folder_path="/shop/page",
        service_type="containerized",
        deployment_config={"image": image},
        port_mappings={"80/tcp": 0},
    )
    status, document = host.ask("POST", INSTANCES, asked)
    same(status, 201)
    path = f"{INSTANCES}/{document['data']['id']}"
    same(host.ask("POST", f"{path}/deploy")[0], 202)
    attributes = until(host, path, "status", "running")
    assert re.fullmatch(r"[0-9a-f]{12,64}", attributes["container_id"]), attributes
    (endpoint,) = host.get(f"{path}/health")["data"]["endpoints"]
    page = http.client.HTTPConnection(endpoint["host"], endpoint["port"], timeout=10)
    page.request("GET", "/index.html")
    same(page.getresponse().read(), b"fine\n")
    check = {"path": "/index.html", "port": endpoint["port"], "interval": 200}
    same(host.ask("PATCH", path, body(health_check_config=check, port_mappings={"80/tcp": endpoint["port"]}))[0], 200)
    until(host, path, "health_status", "healthy")
    metrics = host.get(f"{path}/metrics")["data"]
    typed(metrics, METRICS)
    assert metrics["resource_utilization"]["memory_percent"] is not None, metrics
    same(host.ask("POST", f"{path}/stop")[1]["data"]["attributes"]["status"], "stopped")
    same(host.ask("DELETE", path), (204, None))


if __name__ == "__main__":
    parts = {part.__name__: part for part in [life, logs, refusals, workspaces, broken, deployed, kept, container]}
    parts[sys.argv[2]](Host(sys.argv[1]), *sys.argv[3:])

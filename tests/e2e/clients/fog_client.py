"""A client of `/api/orchestration`, written from "Service Orchestration System" alone. `fog_client.py SOCKET PART`."""

import re
import sys

from wire import Host, SOME, alike, quoted, same

# The examples of the document, as it prints them.
SERVICES = quoted("""{
  "success": true,
  "total_services": 10,
  "services": {
    "dao": {
      "status": "running",
      "restart_count": 0,
      "last_restart": null,
      "last_error": null,
      "is_critical": true
    }
  },
  "is_ready": true,
  "initialized": true
}""")
HEALTH = quoted("""{
  "status": "ok",
  "composite_health": "healthy",
  "services": {
    "dao": {
      "status": "healthy",
      "last_check": {...},
      "consecutive_failures": 0,
      "uptime_1h": 99.5
    }
  },
  "unhealthy_services": [],
  "degraded_services": []
}""")
RESTARTED = quoted("""{
  "success": true,
  "service": "betanet",
  "status": "running",
  "restart_count": 1,
  "last_restart": "2025-10-22T04:00:00Z",
  "message": "Service 'betanet' restarted successfully"
}""")
DEPENDENCIES = quoted("""{
  "success": true,
  "startup_order": ["dao", "scheduler", "edge", ...],
  "shutdown_order": ["bitchat", "betanet", ...],
  "dependencies": {
    "harvest": {
      "type": "harvest",
      "dependencies": ["edge"],
      "optional_dependencies": [],
      "dependents": [],
      "layer": 2
    }
  },
  "visualization": "Service Dependency Graph:\\n..."
}""")
METRICS = quoted("""{
  "success": true,
  "metrics": {
    "total_services": 10,
    "running_services": 8,
    "failed_services": 0,
    "stopped_services": 2,
    "total_restarts": 3,
    "healthy_services": 8,
    "unhealthy_services": 0,
    "is_ready": true,
    "initialized": true
  },
  "registry_stats": {...},
  "service_details": {...}
}""")
SERVICE = quoted("""{
  "success": true,
  "service": "betanet",
  "status": "running",
  "restart_count": 0,
  "last_restart": null,
  "last_error": null,
  "is_critical": false,
  "dependencies": {
    "required": [],
    "optional": ["p2p", "onion"],
    "dependents": [],
    "layer": 5
  },
  "health_history": [...],
  "registry_metadata": {...}
}""")
CHECKED = quoted("""{
  "success": true,
  "timestamp": "2025-10-22T04:00:00Z",
  "composite_health": "healthy",
  "results": {
    "dao": {
      "service_name": "dao",
      "status": "healthy",
      "timestamp": "2025-10-22T04:00:00Z",
      "message": "Service health check passed",
      "details": {...},
      "response_time_ms": 12.5
    }
  }
}""")
RESULT = CHECKED["results"]["dao"]

# What the document draws of each service.
DRAWN = [
    "  • dao",
    "  • edge [optional: dao]",
    "  • scheduler [optional: dao]",
    "  • fog_coordinator",
    "  • harvest <- edge",
    "  • onion <- fog_coordinator",
    "  • p2p [optional: fog_coordinator]",
    "  • vpn_coordinator <- fog_coordinator, onion",
    "  • betanet [optional: onion, p2p]",
    "  • bitchat [optional: p2p]",
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ROOT = "/api/orchestration"


def well(host):
    services = host.get(f"{ROOT}/services")
    alike(SERVICES, services, by_name=[".services"])
    names = set(services["services"])
    same((services["total_services"], len(names)), (10, 10))
    same([services["success"], services["is_ready"], services["initialized"]], [True, True, True])
    same({one["status"] for one in services["services"].values()}, {"running"})
    same([name for name in names if services["services"][name]["is_critical"]], ["dao"])

    health = host.get(f"{ROOT}/health")
    same((health["status"], health["composite_health"]), ("ok", "healthy"))
    same((health["unhealthy_services"], health["degraded_services"]), ([], []))
    # Of a service without checks nothing is known.
    judged = {name: one for name, one in health["services"].items() if one["status"] != "unknown"}
    same((set(health["services"]), set(judged)), (names, {"dao", "edge"}))
    # Of one that was checked once, nothing is known of any time between two checks.
    watched = {name: one for name, one in judged.items() if one["uptime_1h"] is not None}
    assert "dao" in watched, health
    alike(HEALTH, {**health, "services": watched}, by_name=[".services"])
    for one in judged.values():
        alike(RESULT, one["last_check"])
    assert 0 < watched["dao"]["uptime_1h"] <= 100, watched
    same(health["services"]["p2p"], {"status": "unknown", "last_check": None, "consecutive_failures": 0, "uptime_1h": None})

    graph(host, names)
    metrics = host.get(f"{ROOT}/metrics")
    alike(METRICS, metrics)
    counts = metrics["metrics"]
    same([counts[f"{kind}_services"] for kind in ["total", "running", "failed", "stopped", "healthy", "unhealthy"]], [10, 10, 0, 0, 2, 0])
    same((metrics["registry_stats"]["total_services"], metrics["registry_stats"]["by_status"]), (10, {"running": 10}))
    same(metrics["registry_stats"]["by_category"], {"infrastructure": 1, "application": 9})
    same(set(metrics["service_details"]), names)

    checked = host.ask("POST", f"{ROOT}/health/check-now")
    same(checked[0], 200)
    results = {name: one for name, one in checked[1]["results"].items() if one["response_time_ms"] is not None}
    same((set(checked[1]["results"]), set(results)), (names, {"dao", "edge"}))
    alike(CHECKED, {**checked[1], "results": results}, by_name=[".results"])
    assert TIME.fullmatch(checked[1]["timestamp"]), checked
    same(results["dao"]["service_name"], "dao")

    service = host.get(f"{ROOT}/service/betanet")
    alike(SERVICE, service)
    same(service["dependencies"]["optional"], SERVICE["dependencies"]["optional"])
    same((service["status"], service["restart_count"], service["last_restart"]), ("running", 0, None))
    history = host.get(f"{ROOT}/service/dao")["health_history"]
    assert 1 <= len(history) <= 100, len(history)
    for one in history:
        alike(RESULT, one)
    same(history, sorted(history, key=lambda one: one["timestamp"]))

    status, restarted = host.ask("POST", f"{ROOT}/restart/betanet", {"force": False})
    same(status, 200)
    alike(RESTARTED, restarted)
    same({**restarted, "last_restart": 0}, {**RESTARTED, "last_restart": 0})
    assert TIME.fullmatch(restarted["last_restart"]), restarted
    line = host.get(f"{ROOT}/services")["services"]["betanet"]
    same((line["restart_count"], line["last_restart"]), (1, restarted["last_restart"]))
    # Without a body it is not forced.
    same(host.ask("POST", f"{ROOT}/restart/betanet")[1]["restart_count"], 2)


def graph(host, names):
    found = host.get(f"{ROOT}/dependencies")
    alike(DEPENDENCIES, found, by_name=[".dependencies"])
    same((set(found["startup_order"]), found["shutdown_order"]), (names, found["startup_order"][::-1]))
    nodes = found["dependencies"]
    same(nodes["harvest"], DEPENDENCIES["dependencies"]["harvest"])
    place = {name: found["startup_order"].index(name) for name in names}
    for name, node in nodes.items():
        for before in node["dependencies"] + node["optional_dependencies"]:
            assert place[before] < place[name] and nodes[before]["layer"] < node["layer"], (before, name)
            assert name in nodes[before]["dependents"], (before, name)
    lines = found["visualization"].rstrip("\n").split("\n")
    same(lines[:2], ["Service Dependency Graph:", "=" * 50])
    same(sorted(line for line in lines if line.startswith("  •")), sorted(DRAWN))
    drawn, layer = {}, None
    for before, line in zip(lines[1:], lines[2:]):
        heading = re.fullmatch(r"Layer (\d+) \(Startup Priority\):", line)
        if heading:
            same((before, int(heading[1])), ("", 0 if layer is None else layer + 1))
            layer = int(heading[1])
        elif line:
            drawn[line.split()[1]] = layer
    same(drawn, {name: node["layer"] for name, node in nodes.items()})


def refusals(host):
    for method, path in [("GET", "service/nobody"), ("POST", "restart/nobody"), ("GET", "service/dao%2Fup"), ("POST", "restart/DAO")]:
        status, answer = host.ask(method, f"{ROOT}/{path}")
        same((status, answer["success"]), (404, False))
        assert answer["message"] and answer["detail"], answer
    bodies = {
        b'{"force": "maybe"}': "bool_parsing",
        b'{"force": []}': "bool_type",
        b'{"force": null}': "bool_type",
        b"{": "json_invalid",
        b"[]": "model_attributes_type",
    }
    for body, kind in bodies.items():
        status, answer = host.ask("POST", f"{ROOT}/restart/dao", body)
        same((status, answer["success"], answer["detail"][0]["type"]), (422, False, kind))
    same(host.get(f"{ROOT}/service/dao")["restart_count"], 0)


def broken(host):
    """betanet cannot come up any more."""
    status, answer = host.ask("POST", f"{ROOT}/restart/betanet", {"force": False})
    same((status, answer["success"], answer["status"]), (500, False, "failed"))
    alike(RESTARTED, answer)
    status, answer = host.ask("POST", f"{ROOT}/restart/betanet", {"force": False})
    same((status, answer["success"], answer["status"]), (409, False, "failed"))
    alike(RESTARTED, answer)
    assert "force=true" in answer["message"], answer
    assert host.get(f"{ROOT}/services")["services"]["betanet"]["last_error"], "it is said why"


def mended(host):
    """betanet could come up again, and bitchat was stopped."""
    counts = host.get(f"{ROOT}/metrics")["metrics"]
    same([counts[f"{kind}_services"] for kind in ["total", "running", "failed", "stopped"]], [10, 8, 1, 1])
    status, answer = host.ask("POST", f"{ROOT}/restart/betanet", {"force": True})
    same((status, answer["success"], answer["status"]), (200, True, "running"))
    same(host.get(f"{ROOT}/service/bitchat")["status"], "stopped")
    counts = host.get(f"{ROOT}/metrics")["metrics"]
    same([counts["failed_services"], counts["total_restarts"] >= 1], [0, True])


def ill(host):
    """dao fails its checks."""
    health = host.get(f"{ROOT}/health")
    same((health["composite_health"], health["unhealthy_services"]), ("unhealthy", ["dao"]))
    dao = health["services"]["dao"]
    assert dao["status"] == "unhealthy" and dao["consecutive_failures"] >= 3 and dao["uptime_1h"] < 100, dao
    history = host.get(f"{ROOT}/service/dao")["health_history"]
    assert history[0]["status"] == "healthy" and history[-1]["status"] == "unhealthy", history
    same([one["status"] for one in history if one["status"] != "healthy"][:3], ["degraded", "degraded", "unhealthy"])
    metrics = host.get(f"{ROOT}/metrics")
    same((metrics["metrics"]["unhealthy_services"], metrics["metrics"]["is_ready"]), (1, False))
    same(host.get(f"{ROOT}/services")["is_ready"], False)
    checked = host.ask("POST", f"{ROOT}/health/check-now")[1]
    same((checked["composite_health"], checked["results"]["dao"]["status"]), ("unhealthy", "unhealthy"))


def many(host):
    """dao was checked more than a hundred times."""
    same(len(host.get(f"{ROOT}/service/dao")["health_history"]), 100)


if __name__ == "__main__":
    parts = {part.__name__: part for part in [well, refusals, broken, mended, ill, many]}
    parts[sys.argv[2]](Host(sys.argv[1]))

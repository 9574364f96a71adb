#!/usr/bin/env python3
"""Writes windlass.json, the Grafana dashboard: what is in it stands here, what Grafana wants around it is added.

    deploy/grafana/dashboard.py > deploy/grafana/windlass.json

`make verify STEPS=chart` fails if the two differ.
"""

import json

NS = 'namespace=~"$namespace"'
NSQ = NS + ',queue=~"$queue"'
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def rate(metric, *by, labels=NS):
    return f"sum by ({', '.join(by)}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def newest(metric, *by, labels=NS):
    """A figure of serve's: each of its pods tells the same one."""
    return f"max by ({', '.join(('namespace',) + by)}) ({metric}{{{labels}}})"


def quantile(q, metric, *by, labels=NS):
    return f"histogram_quantile({q}, sum by ({', '.join(('le',) + by)}) (rate({metric}_bucket{{{labels}}}[$__rate_interval])))"


def panel(kind, title, description, unit, *targets, width=8, height=8, **more):
    """One panel; each target is (expression, legend)."""
    return {
        "type": kind, "title": title, "description": description, "datasource": DATASOURCE,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, **more.pop("defaults", {})}, "overrides": []},
        "options": more.pop("options", {}),
        "targets": [
            {"refId": chr(65 + n), "datasource": DATASOURCE, "expr": expr, "legendFormat": legend, "exemplar": more.get("exemplar", False),
             **({"instant": True, "range": False, "format": "table"} if kind == "table" else {})}
            for n, (expr, legend) in enumerate(targets)
        ],
        **({"transformations": [{"id": "merge", "options": {}}]} if kind == "table" else {}),
    }


def lines(title, description, unit, *targets, stacked=False, **more):
    custom = {"fillOpacity": 20 if stacked else 5, "showPoints": "never", "stacking": {"mode": "normal" if stacked else "none"}}
    options = {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, description, unit, *targets, defaults={"custom": custom}, options=options, **more)


def stat(title, description, unit, expr, steps=None, **more):
    """One number; `steps` are (from, colour)."""
    colours = [{"color": "green", "value": None}] + [{"color": c, "value": v} for v, c in steps or []]
    defaults = {"thresholds": {"mode": "absolute", "steps": colours}, "noValue": "–"}
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value" if steps else "none", "graphMode": "area"}
    return panel("stat", title, description, unit, (expr, ""), width=4, height=4, defaults=defaults, options=options, **more)


ROWS = {
    "Fleet": [
        stat("Live nodes", "Nodes that beat and are not lost.", "short",
             'sum(max by (namespace, state) (windlass_nodes{%s,state!="lost"}))' % NS),
        stat("Lost nodes", "Nodes that fell silent without taking leave, within a day.", "short",
             'sum(max by (namespace) (windlass_nodes{%s,state="lost"}))' % NS, [(1, "orange")]),
        stat("Slots used", "Part of all slots in which a task runs.", "percentunit",
             f"sum({newest('windlass_fleet_slots_used')}) / sum({newest('windlass_fleet_slots')})", [(0.9, "orange")]),
        stat("Backlog", "Tasks that are ready, due or running: what autoscaling goes by.", "short",
             f"sum({newest('windlass_queue_backlog_tasks', 'queue', labels=NSQ)})"),
        stat("Oldest pending", "How long the task has waited that waits longest.", "s",
             f"max({newest('windlass_queue_oldest_pending_seconds', 'queue', labels=NSQ)})", [(300, "orange"), (900, "red")]),
        stat("Queues that nobody serves", "Queues with a backlog and without a live node, unless they are paused.", "short",
             f"count({newest('windlass_queue_backlog_tasks', 'queue', labels=NSQ)} > 0 and {newest('windlass_queue_nodes', 'queue', labels=NSQ)} == 0"
             f" unless {newest('windlass_queue_paused', 'queue', labels=NSQ)} == 1) or vector(0)", [(1, "red")]),
        lines("Nodes by state", "What the nodes of the fleet say of themselves.", "short",
              (newest("windlass_nodes", "state"), "{{state}}"), stacked=True),
        lines("Slots", "Slots of all live nodes, and those in which a task runs.", "short",
              (f"sum({newest('windlass_fleet_slots')})", "slots"), (f"sum({newest('windlass_fleet_slots_used')})", "used")),
        lines("Oldest heartbeat", "Age of the oldest heartbeat of a live node. A beat comes with each third of the lease (3.3 s of 10 s).", "s",
              (newest("windlass_fleet_oldest_heartbeat_seconds"), "{{namespace}}")),
    ],
    "Queues": [
        lines("Backlog by queue", "Ready, due and running tasks of each queue.", "short",
              (newest("windlass_queue_backlog_tasks", "queue", labels=NSQ), "{{queue}}"), stacked=True, width=12),
        lines("Pending by priority", "Tasks that could run at once.", "short",
              (f"sum by (priority) ({newest('windlass_queue_pending_tasks', 'queue', 'priority', labels=NSQ)})", "{{priority}}"), stacked=True, width=12),
        lines("Submitted", "Tasks that came in.", "cps",
              (f"max by (queue) (rate(windlass_queue_submitted_tasks_total{{{NSQ}}}[$__rate_interval]))", "{{queue}}")),
        lines("Finished by outcome", "Tasks that ended. `failed` ones are in the dead letter.", "cps",
              (f"sum by (outcome) (max by (queue, outcome) (rate(windlass_queue_finished_tasks_total{{{NSQ}}}[$__rate_interval])))", "{{outcome}}"), stacked=True),
        lines("Oldest pending by queue", "How long the task has waited that waits longest.", "s",
              (newest("windlass_queue_oldest_pending_seconds", "queue", labels=NSQ), "{{queue}}")),
        lines("Other states", "Scheduled, running, parked, blocked and failed tasks.", "short",
              (f"sum by (state) ({newest('windlass_queue_tasks', 'queue', 'state', labels=NSQ)})", "{{state}}")),
        lines("Recovered leases and stale commits", "Tasks taken from silent nodes, and results that came too late. Both should be near zero.", "cps",
              (f"sum(max by (queue) (rate(windlass_queue_recovered_leases_total{{{NSQ}}}[$__rate_interval])))", "recovered leases"),
              (f"sum(max by (queue) (rate(windlass_queue_stale_commits_total{{{NSQ}}}[$__rate_interval])))", "stale commits")),
        panel("table", "Queues now", "Each queue: backlog, nodes that claim from it, whether it is paused.", "short",
              (newest("windlass_queue_backlog_tasks", "queue", labels=NSQ), "backlog"),
              (newest("windlass_queue_nodes", "queue", labels=NSQ), "nodes"),
              (newest("windlass_queue_paused", "queue", labels=NSQ), "paused")),
    ],
    "Nodes": [
        lines("Attempts by outcome", "How attempts ended on the workers. `handed_back`: by a node that left.", "cps",
              (rate("windlass_worker_tasks_total", "outcome", labels=NSQ), "{{outcome}}"), stacked=True),
        lines("Retries by class of error", "Attempts after which the task is tried again.", "cps",
              (rate("windlass_worker_retries_total", "class"), "{{class}}"), stacked=True),
        lines("Claim to start", "From the claim to the executor's start.", "s",
              (quantile(0.5, "windlass_worker_claim_to_start_seconds"), "p50"), (quantile(0.99, "windlass_worker_claim_to_start_seconds"), "p99")),
        lines("Run time by type (p95)", "How long attempts run.", "s",
              (quantile(0.95, "windlass_worker_run_seconds", "type"), "{{type}}"), exemplar=True),
        lines("Settle", "From the end of an attempt until Redis has its result.", "s",
              (quantile(0.5, "windlass_worker_settle_seconds"), "p50"), (quantile(0.99, "windlass_worker_settle_seconds"), "p99")),
        lines("Heartbeats", "Beats that Redis took, and those that failed.", "cps",
              (rate("windlass_worker_heartbeats_total", "result"), "{{result}}")),
        lines("Beat (p99)", "How long a beat takes. It has a third of the lease.", "s", (quantile(0.99, "windlass_worker_heartbeat_seconds"), "p99")),
        lines("Lost leases and refused results", "As the workers saw them.", "cps",
              (rate("windlass_worker_lost_leases_total", "namespace"), "lost leases"), (rate("windlass_worker_stale_commits_total", "namespace"), "refused results")),
        lines("Largest workers", "Memory of the ten largest processes.", "bytes",
              (f"topk(10, process_resident_memory_bytes{{{NS}}} and on (instance) windlass_worker_slots)", "{{instance}}")),
        lines("Busiest workers", "CPU of the ten busiest processes, commands of tasks not included.", "short",
              (f"topk(10, rate(process_cpu_seconds_total{{{NS}}}[$__rate_interval]) and on (instance) windlass_worker_slots)", "{{instance}}")),
        lines("Open files", "Of the ten processes that have most.", "short", (f"topk(10, process_open_fds{{{NS}}} and on (instance) windlass_worker_slots)", "{{instance}}")),
        panel("table", "Versions", "Processes by version and protocol: two during an upgrade, one otherwise.", "short",
              (f"count by (namespace, version, protocol) (windlass_build_info{{{NS}}})", "processes")),
    ],
    "Models and money": [
        stat("Spent in the last hour", "What calls of models cost.", "currencyUSD", f"sum(increase(windlass_llm_cost_dollars_total{{{NS}}}[1h]))"),
        stat("Errors of models", "Part of calls that failed, in the last 5 minutes.", "percentunit",
             f'sum(rate(windlass_llm_calls_total{{{NS},outcome!="ok"}}[5m])) / sum(rate(windlass_llm_calls_total{{{NS}}}[5m]))', [(0.05, "orange"), (0.2, "red")]),
        stat("Answers from the cache", "Part of answers that cost nothing.", "percentunit",
             f"sum(rate(windlass_llm_cache_hits_total{{{NS}}}[5m])) / (sum(rate(windlass_llm_cache_hits_total{{{NS}}}[5m])) + sum(rate(windlass_llm_calls_total{{{NS}}}[5m])))"),
        stat("Open breakers", "Models and hosts that the fleet leaves alone.", "short", f"sum({newest('windlass_breaker_open', 'name')})", [(1, "orange")]),
        stat("Fullest budget", "Part of it that is spent.", "percentunit", f"max({newest('windlass_budget_used_ratio', 'scope')})", [(0.8, "orange"), (1, "red")]),
        stat("Tokens a second", "In and out, all models.", "short", f"sum(rate(windlass_llm_tokens_total{{{NS}}}[5m]))"),
        lines("Calls by model", "Calls that were made.", "cps", (rate("windlass_llm_calls_total", "model"), "{{model}}"), stacked=True),
        lines("Errors by class", "Calls that failed.", "cps", (rate("windlass_llm_calls_total", "outcome", labels=NS + ',outcome!="ok"'), "{{outcome}}"), stacked=True),
        lines("Time of a call (p95)", "By model, of whole answers.", "s", (quantile(0.95, "windlass_llm_call_seconds", "model"), "{{model}}"), exemplar=True),
        lines("Tokens by direction", "What goes in and comes out. `cached` ones are cheaper input.", "short", (rate("windlass_llm_tokens_total", "direction"), "{{direction}}"), stacked=True),
        lines("Dollars an hour by model", "At the present rate.", "currencyUSD",
              (f"sum by (model) (rate(windlass_llm_cost_dollars_total{{{NS}}}[$__rate_interval])) * 3600", "{{model}}"), stacked=True),
        lines("Breakers", "1: left alone, by the whole fleet.", "short", (newest("windlass_breaker_open", "name"), "{{name}}")),
        lines("Breakers as workers see them", "How many workers leave a model alone.", "short", (f"sum by (name) (windlass_llm_breaker_open{{{NS}}})", "{{name}}")),
        panel("table", "Budgets", "What each may spend, and has spent, in its present window.", "currencyUSD",
              (newest("windlass_budget_limit_dollars", "scope"), "limit"), (newest("windlass_budget_spent_dollars", "scope"), "spent"), width=16),
    ],
    "Redis": [
        lines("Memory", "What Redis uses, and may use (0: no limit).", "bytes",
              (newest("windlass_redis_used_memory_bytes", "server"), "{{server}} used"), (newest("windlass_redis_max_memory_bytes", "server"), "{{server}} limit")),
        lines("Round trip", "Ordinary commands and scripts, of workers and serve.", "s",
              (quantile(0.5, "windlass_redis_round_trip_seconds"), "p50"), (quantile(0.99, "windlass_redis_round_trip_seconds"), "p99")),
        lines("Script time (p99)", "By script.", "s", (quantile(0.99, "windlass_redis_script_seconds", "script"), "{{script}}")),
        lines("Scripts", "Calls a second, by script.", "cps", (rate("windlass_redis_script_seconds_count", "script"), "{{script}}"), stacked=True),
        lines("Errors by kind", "Calls that failed.", "cps", (rate("windlass_redis_errors_total", "kind"), "{{kind}}"), stacked=True),
        lines("Reachable", "1: a pod of serve reaches Redis.", "short", (newest("windlass_redis_up"), "{{namespace}}")),
    ],
    "HTTP": [
        lines("Requests by status", "What serve answers.", "reqps", (rate("windlass_http_requests_total", "status"), "{{status}}"), stacked=True),
        lines("Time of an answer (p99) by route", "Long polls last as long as they are asked to.", "s",
              (quantile(0.99, "windlass_http_request_duration_seconds", "route"), "{{route}}")),
        lines("Event streams", "Pages and scripts that follow events.", "short", (f"sum(windlass_http_event_streams{{{NS}}})", "streams")),
        lines("Scrape errors", "Figures that serve could not read for /metrics.", "cps", (rate("windlass_scrape_errors_total", "namespace"), "{{namespace}}")),
    ],
}


def placed(rows):
    """Panels with a place each, from left to right and top to bottom, below a title for each row."""
    panels, y = [], 0
    for title, row in rows.items():
        panels.append({"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        x, y, height = 0, y + 1, 0
        for one in row:
            width = one["gridPos"]["w"]
            if x + width > 24:
                x, y, height = 0, y + height, 0
            one["gridPos"].update(x=x, y=y)
            x, height = x + width, max(height, one["gridPos"]["h"])
            panels.append(one)
        y += height
    for n, one in enumerate(panels):
        one["id"] = n + 1
    return panels


def chosen_by(name, label, query):
    return {
        "name": name, "label": label, "type": "query", "datasource": DATASOURCE, "query": {"query": query, "refId": name}, "definition": query,
        "refresh": 2, "sort": 1, "includeAll": True, "multi": True, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]},
    }


DASHBOARD = {
    "uid": "windlass", "title": "Windlass", "description": "A Windlass fleet: queues, nodes, models, money, Redis.", "tags": ["windlass"],
    "editable": False, "graphTooltip": 1, "refresh": "30s", "schemaVersion": 39, "timezone": "browser", "version": 1,
    "time": {"from": "now-3h", "to": "now"},
    "annotations": {"list": []}, "links": [],
    "templating": {"list": [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}},
        chosen_by("namespace", "Namespace", "label_values(windlass_queue_backlog_tasks, namespace)"),
        chosen_by("queue", "Queue", 'label_values(windlass_queue_backlog_tasks{namespace=~"$namespace"}, queue)'),
    ]},
    "panels": placed(ROWS),
}

if __name__ == "__main__":
    print(json.dumps(DASHBOARD, indent=1, ensure_ascii=False))

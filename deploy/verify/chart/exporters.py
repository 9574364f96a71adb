"""Pretends to be two pods of serve and two workers: what their /metrics would say, with counters that grow."""

import http.server
import threading
import time

STARTED = time.time()

# Name and labels, kind. A counter grows by some each second; a gauge is what stands after the kind.
SERVE = """
windlass_queue_pending_tasks{queue="default",priority="high"} gauge 4
windlass_queue_pending_tasks{queue="default",priority="normal"} gauge 8
windlass_queue_tasks{queue="default",state="running"} gauge 3
windlass_queue_tasks{queue="default",state="failed"} gauge 2
windlass_queue_backlog_tasks{queue="default"} gauge 15
windlass_queue_oldest_pending_seconds{queue="default"} gauge 2.5
windlass_queue_paused{queue="default"} gauge 0
windlass_queue_nodes{queue="default"} gauge 2
windlass_queue_submitted_tasks_total{queue="default"} counter
windlass_queue_finished_tasks_total{queue="default",outcome="completed"} counter
windlass_queue_finished_tasks_total{queue="default",outcome="failed"} counter
windlass_queue_recovered_leases_total{queue="default"} counter
windlass_queue_stale_commits_total{queue="default"} counter
windlass_nodes{state="active"} gauge 2
windlass_nodes{state="lost"} gauge 0
windlass_fleet_slots gauge 16
windlass_fleet_slots_used gauge 3
windlass_fleet_oldest_heartbeat_seconds gauge 1.2
windlass_budget_limit_dollars{scope="fleet"} gauge 50
windlass_budget_spent_dollars{scope="fleet"} gauge 12
windlass_budget_used_ratio{scope="fleet"} gauge 0.24
windlass_breaker_open{name="openai/gpt-x"} gauge 0
windlass_redis_up gauge 1
windlass_redis_used_memory_bytes{server="redis:6379"} gauge 1e8
windlass_redis_max_memory_bytes{server="redis:6379"} gauge 1e9
windlass_http_requests_total{method="GET",route="/v1/tasks",status="200"} counter
windlass_http_request_duration_seconds{method="GET",route="/v1/tasks"} histogram
windlass_http_event_streams gauge 1
windlass_scrape_errors_total counter
"""
WORKER = """
windlass_worker_slots gauge 8
windlass_worker_slots_used gauge 2
windlass_worker_state{state="active"} gauge 1
windlass_worker_tasks_total{queue="default",type="llm",outcome="completed"} counter
windlass_worker_retries_total{class="timeout"} counter
windlass_worker_claim_to_start_seconds histogram
windlass_worker_run_seconds{type="llm",outcome="completed"} histogram
windlass_worker_settle_seconds histogram
windlass_worker_stale_commits_total counter
windlass_worker_lost_leases_total counter
windlass_worker_heartbeats_total{result="ok"} counter
windlass_worker_heartbeats_total{result="failed"} counter
windlass_worker_heartbeat_seconds histogram
windlass_llm_calls_total{model="openai/gpt-x",outcome="ok"} counter
windlass_llm_calls_total{model="openai/gpt-x",outcome="rate_limit"} counter
windlass_llm_tokens_total{model="openai/gpt-x",direction="input"} counter
windlass_llm_cost_dollars_total{model="openai/gpt-x"} counter
windlass_llm_call_seconds{model="openai/gpt-x"} histogram
windlass_llm_cache_hits_total{model="openai/gpt-x"} counter
windlass_llm_breaker_open{name="openai/gpt-x"} gauge 0
"""
BOTH = """
windlass_build_info{version="0.1.0",protocol="1"} gauge 1
windlass_redis_round_trip_seconds histogram
windlass_redis_script_seconds{script="claim"} histogram
windlass_redis_errors_total{kind="timeout"} counter
process_resident_memory_bytes gauge 5e7
process_open_fds gauge 30
process_cpu_seconds_total counter
process_start_time_seconds gauge 1.7e9
"""


def page(lines):
    """The Prometheus text of these lines, now."""
    grown = time.time() - STARTED
    out = []
    for line in lines.split("\n"):
        if not line:
            continue
        series, kind, *value = line.split(" ")
        name, _, labels = series.rstrip("}").partition("{")
        if kind == "histogram":
            for bound, part in (("0.001", 0.5), ("0.1", 0.9), ("+Inf", 1)):
                within = ",".join(filter(None, [labels, f'le="{bound}"']))
                out.append(f"{name}_bucket{{{within}}} {grown * part}")
            ends = f"{{{labels}}}" if labels else ""
            out += [f"{name}_count{ends} {grown}", f"{name}_sum{ends} {grown / 100}"]
        else:
            out.append(f"{series} {value[0] if value else grown}")
    return "\n".join(out) + "\n"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = page(BOTH + (SERVE if self.path == "/serve" else WORKER)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start():
    """A server on loopback: `/serve` and `/worker`. It ends with `shutdown()`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

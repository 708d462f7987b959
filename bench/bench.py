#!/usr/bin/env python3
"""Measure milvus beside its peers. bench/run prepares what this needs and calls it; see README.md there."""
import argparse
import json
import os
import platform
import subprocess
import sys
import time

import dataset
import filters
import library_peers
import sql_peers
from measures import MEASURES, Run, progress
from peers import LIBRARY_PEERS, SQL_PEERS, Kept, parse_spec
from report import print_figures, print_targets
from server import Server

QUICK_ROWS, QUICK_QUERIES = 5_000, 200
# A machine that uses more of its CPU than this before we begin is not quiet.
QUIET_SHARE = 0.1
MEASURED_BY_DEFAULT = ("search", "insert", "vacuum", "concurrent", "growth")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description="Measure milvus beside its peers.")
    parser.add_argument("--data", action="append", metavar="DIR", required=True,
                        help="folder with base.npy, queries.npy, truth_<metric>.npy; may be repeated")
    parser.add_argument("--metric", choices=dataset.METRICS, help="default: the first with a truth file")
    parser.add_argument("--peers", default=",".join(SQL_PEERS + LIBRARY_PEERS), metavar="LIST",
                        help="default: %(default)s")
    parser.add_argument("--recall", default="0.95,0.99", metavar="LIST", help="default: %(default)s")
    parser.add_argument("--index", action="append", default=[], metavar="PEER:NAME=VALUE,…",
                        help="measure this index instead of the peer's usual ones; may be repeated")
    parser.add_argument("--only", action="append", choices=list(MEASURES), help="one measure; may be repeated")
    parser.add_argument("--filter", metavar="SHARES", help="measure searches with conditions that match these percentages of "
                        "the rows, and nothing else unless --only asks for it; for example 50,10,1,0.1")
    parser.add_argument("--filter-outside", action="store_true", help="with --filter: our index has no column but the vector, "
                        "and the others have B-trees")
    parser.add_argument("--rounds", type=int, help="default: 3, with --quick 1")
    parser.add_argument("--rows", type=int, help="use only the first rows of each data set")
    parser.add_argument("--growth-rows", type=int, metavar="N", help="size of the small set (default: 50,000)")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_ROWS:,} rows, {QUICK_QUERIES} queries, short timings: a test of the benchmark")
    parser.add_argument("--keep-results", action="store_true",
                        help="keep peers' slow builds and vacuums for later runs, and use kept ones")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    # What bench/run has prepared.
    for name in ("--socket", "--client", "--scratch", "--cache"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    arguments.peers = list(filter(None, arguments.peers.split(",")))
    for peer in arguments.peers:
        if peer not in SQL_PEERS + LIBRARY_PEERS:
            parser.error(f"no peer named {peer!r}: choose from {', '.join(SQL_PEERS + LIBRARY_PEERS)}")
    try:
        arguments.recall = sorted(float(value) for value in arguments.recall.split(","))
    except ValueError:
        parser.error(f"--recall {arguments.recall}: numbers with commas between them are needed")
    try:
        arguments.filter = [float(value) for value in arguments.filter.split(",")] if arguments.filter else []
    except ValueError:
        parser.error(f"--filter {arguments.filter}: numbers with commas between them are needed")
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.growth_rows = arguments.growth_rows or (QUICK_ROWS // 5 if arguments.quick else 50_000)
    return arguments


def busy_share(seconds=2.0):
    """Share of the machine's CPU time that is in use by whatever runs now, watched for seconds."""
    def ticks():
        with open("/proc/stat", encoding="utf-8") as file:
            values = [int(value) for value in file.readline().split()[1:9]]
        # The fourth and fifth are idle and waiting for input or output.
        return sum(values), values[3] + values[4]

    total, idle = ticks()
    time.sleep(seconds)
    total_after, idle_after = ticks()
    return 1 - (idle_after - idle) / max(1, total_after - total)


def environment(server, peers):
    """Where and with what the figures were made."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False,
                            cwd=os.path.dirname(os.path.abspath(__file__))).stdout.strip()
    about = {"date": time.strftime("%Y-%m-%d %H:%M"), "cpu": model, "cores": os.cpu_count(),
             "kernel": platform.release(), "commit": commit or "none"}
    about["versions"] = {peer: library_peers.version(peer) for peer in peers if peer in LIBRARY_PEERS}
    if server:
        about["versions"]["postgresql"] = server.version()
        about["versions"].update((peer, sql_peers.PEERS[peer].version(server)) for peer in peers if peer in SQL_PEERS)
        about["server_settings"] = server.settings()
    return about


def print_environment(about):
    print(f"{about['date']}  {about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, "
          f"commit {about['commit']}")
    for key in ("versions", "server_settings"):
        if about.get(key):
            print("  " + ", ".join(f"{name} {value}" for name, value in about[key].items()))
    if max(about["busy_before"], about["busy_after"]) > QUIET_SHARE:
        print(f"  other work used {about['busy_before']:.0%} of the CPU just before and {about['busy_after']:.0%} just after: "
              "these figures are of a machine that was not quiet")


def main():
    arguments = parse_arguments()
    busy_before = busy_share()
    server = None
    if any(peer in SQL_PEERS for peer in arguments.peers):
        server = Server(arguments.socket, arguments.port, arguments.client, arguments.scratch)
        for peer in arguments.peers:
            if peer in SQL_PEERS:
                sql_peers.PEERS[peer].install(server)
        sql_peers.drop_leftovers(server, arguments.cache)
    about = environment(server, arguments.peers)
    about["busy_before"] = busy_before
    kept = Kept(arguments.cache if arguments.keep_results else None, writable=busy_before <= QUIET_SHARE)
    if kept.folder and not kept.writable:
        progress(f"other work uses {busy_before:.0%} of the CPU: new figures are not kept")
    run = Run(server, arguments.peers, [parse_spec(text) for text in arguments.index], kept, arguments.rounds,
              arguments.recall, arguments.quick, growth_rows=arguments.growth_rows)

    for folder in arguments.data:
        data = dataset.load(folder, arguments.metric)
        if arguments.quick:
            data = data.prefix(arguments.rows or QUICK_ROWS, QUICK_QUERIES)
        elif arguments.rows:
            data = data.prefix(arguments.rows)
        progress(f"{data.name}: {data.rows:,} x {data.dim}, {data.metric}, {len(data.queries):,} queries")
        if arguments.filter:
            filters.measure(run, data, folder, arguments.filter, arguments.filter_outside, progress)
        for name in arguments.only or (() if arguments.filter else MEASURED_BY_DEFAULT):
            if name == "growth" and not arguments.only and data.rows < 4 * arguments.growth_rows:
                continue
            MEASURES[name](run, data)

    about["busy_after"] = busy_share()
    print_environment(about)
    print_figures(run.results)
    lines = print_targets(run.results, arguments.recall)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            heads = ("data", "measure", "ours", "against", "ratio", "target", "verdict")
            json.dump({"rows": run.results.json_rows(), **run.results.json_others(), "environment": about,
                       "targets": [dict(zip(heads, line)) for line in lines]}, file, indent=1)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Writes what bench/run.py has measured to where it is read: the tables of bench/README.md, five rows of README.md, and bench/chart.svg.

    bench/report.py            from bench/figures.json, concurrency.json and million.json, the figures of the last whole runs
    bench/report.py --check    only says whether they are what these give
"""

import html
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
FIGURES, PLACES, MILLION = HERE / "figures.json", HERE / "concurrency.json", HERE / "million.json"
README, TABLES, CHART = HERE.parent / "README.md", HERE / "README.md", HERE / "chart.svg"

BASE, FLOOR = "libcurl", "zcrm / floor"
CLIENTS = ["zcrm", "floor", "libcurl tuned", "reqwest::blocking", "Go net/http", "Go zcrm", "Python zcrm", "Python requests", "Python SDK v8", "Python SDK v2"]
# What README.md shows, over https.
FIVE = ["upload 2,000 × 10 KiB, 1 thread", "upload 2,000 × 10 KiB, 32 threads", "upload 5 × 100 MB from a file", "download 5 × 100 MB to a file",
        "2,000 lists of 20, parsed"]
CHARTED = {"zcrm": "#2f6fde", "Go zcrm": "#7aa7f0", "reqwest::blocking": "#b0723a", "Go net/http": "#6f9a5b", "Python SDK v8": "#a0a4ad"}
TRANSFERS = {"upload-file": "upload from a file", "upload-memory": "upload from memory", "upload-reader": "upload from a reader",
             "download-file": "download to a file", "download-memory": "download to memory", "download-writer": "download to a writer"}
SIZES = ((1000, 1), (100_000_000, 1), (100_000_000, 25))


def short(x):
    return f"{x:.2f}" if x < 10 else f"{x:.0f}"


def cell(row):
    return f"{short(row['cpu'])} / {short(row['wall'])}" if row else ""


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


def by_client(result, works):
    """A line for each work and scheme, a column for each client that was measured."""
    found = {(r["workload"], r["scheme"], r["client"]): r for r in result["ratios"]}
    for (*line, client), floor in list(found.items()):
        if client == "floor" and (zcrm := found.get((*line, "zcrm"))):
            found[(*line, FLOOR)] = {what: zcrm[what] / floor[what] for what in ("cpu", "wall")}
    lines = [line for line in dict.fromkeys((r["workload"], r["scheme"]) for r in result["ratios"]) if works(*line)]
    clients = [c for c in ("zcrm", FLOOR, *CLIENTS[1:]) if any((*line, c) in found for line in lines)]
    return table(["work", "", *clients], [[*line, *(cell(found.get((*line, c))) for c in clients)] for line in lines])


def floor_told(result):
    if not any(r["client"] == "floor" for r in result["ratios"]):
        return []
    return ["", "`floor` is the least that a small call can cost: blocking sockets, OpenSSL, and a reply that isn't looked into. `zcrm / floor` is the quotient of the two."]


def a_row_a_line(result):
    """The figures as JSON, each row on a line of its own, so that a diff shows which one changed."""
    def text(value):
        return "[\n  " + ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in value) + "\n ]" if isinstance(value, list) else json.dumps(value, ensure_ascii=False)
    return "{\n " + ",\n ".join(f"{json.dumps(key)}: {text(value)}" for key, value in result.items()) + "\n}\n"


def measured(machine):
    versions = [machine["libcurl"], machine["openssl"], machine["rustc"], machine["go"], machine["python"], *machine["python_sdk"]]
    load = " to ".join(str(load) for load in machine["load"])
    return (f"Measured {machine['date']} on {machine['cores']} cores of {machine['cpu']}, with a load of {load}, {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
            f"{machine['libc']}; loopback, files in {machine['data']}. {', '.join(versions)}.")


def crowds(result):
    head = ["callers", "failed", "connections", "peak MiB", "ms a call"]
    return ["", f"10,000 lists of 20 through 4 places (`max_in_flight`), from a server 10 ms away, with at most {result['crowd_descriptors']} descriptors:", "",
            *table(head, [[r["workload"], "0", f"{r['connections']:.0f}", f"{r['peak_mib']:.0f}", f"{r['ms']:.1f}"] for r in result["crowds"]])]


def memory(result):
    peak = {(r["scheme"], r["work"], r["client"], r["size"], r["threads"]): r["peak_mib"] for r in result["memory"]}
    head = ["transfer", ""] + [f"{client}{what}" for client in ("zcrm", BASE) for what in (": 1 KB", ": 100 MB", ": 25 × 100 MB at once")]
    rows = []
    for scheme, work in dict.fromkeys((r["scheme"], r["work"]) for r in result["memory"]):
        cells = [peak.get((scheme, work, client, *size)) for client in ("zcrm", BASE) for size in SIZES]
        rows.append([TRANSFERS[work], scheme, *("" if c is None else f"{c:.1f}" for c in cells)])
    return ["", "Peak memory of the whole process in MiB, without the caller's own 100 MB where source or sink is memory:", "", *table(head, rows)]


def commands(result):
    found = result["commands"]
    return ["", f"The commands, from start to end of `--version`, measured {found['date']} beside curl {found['curl']}, whose file is without its libraries:", "",
            *table(["", "ms", "bytes"], [[r["program"], f"{r['ms']:.2f}", f"{r['bytes']:,}"] for r in found["rows"]])]


def markdown(result):
    lines = [measured(result["machine"]), "",
             "CPU / wall time relative to libcurl with its default settings doing the same work (below 1 = less than libcurl): ratios of medians over",
             f"{result['pairs']} pairs of runs in turn for zcrm, at most 5 for the other clients, 3 for Zoho's Python SDK, whose start is not counted.", "",
             *by_client(result, lambda work, scheme: True), *floor_told(result)]
    if result["go"]:
        lines += ["", "Go through the binding, against the same calls from C (CPU / wall):", "",
                  *table(["work", "", "Go zcrm"], [[r["workload"], r["scheme"], cell(r)] for r in result["go"]])]
    if result.get("python"):
        lines += ["", "Python through the package, against the same calls from C (CPU / wall):", "",
                  *table(["work", "", "Python zcrm"], [[r["workload"], r["scheme"], cell(r)] for r in result["python"]])]
    if result["read_callback_ns"]:
        lines += ["", f"64 KiB of an io.Reader cost {result['read_callback_ns'] / 1000:.2f} µs through Go beyond the copy."]
    lines += crowds(result) if result["crowds"] else []
    lines += memory(result) if result["memory"] else []
    lines += commands(result) if result.get("commands") else []
    return "\n".join([*lines, "", f"libzcrm.so, stripped: {result['size']:,} bytes."]) + "\n"


def five(result):
    peak = max(r["peak_mib"] for r in result["memory"] if r["client"] == "zcrm" and r["threads"] == 1)
    return "\n".join([
        f"CPU / wall time relative to libcurl doing the same work over https, measured {result['machine']['date']}; below 1 is less than libcurl:", "",
        *by_client(result, lambda work, scheme: work in FIVE and scheme == "https"), *floor_told(result), "",
        f"A transfer needs at most {peak:.1f} MiB of memory, whatever the size of the file. `libzcrm.so`, stripped, has {result['size']:,} bytes."]) + "\n"


def percent(x):
    return f"{100 * x:.0f} %"


def concurrency(result):
    """What bench/concurrency.py has measured."""
    head = ["", "`max_in_flight`", "of the optimum", "refused", "the poorest, of its share", "found again after"]
    rows = [[r["row"], r["max_in_flight"], percent(r["use"]), f"{100 * r['refused']:.1f} %", percent(r["poorest"]) if "poorest" in r else "",
             ("" if "found" not in r else "not found" if r["found"] is None else f"{r['found']} s")] for r in result["rows"]]
    return ["", f"`make bench-concurrency`, measured {result['date']} on {result['cores']} cores with a load of {result['load']}, {result['builds']} builds: an emulator takes L calls at",
            "once, each of 200 ms, and refuses others. No call failed. The optimum is L / 0.2 s. Several processes are measured from half a minute after the last has begun on.", "",
            *table(head, rows)]


def concurrency_in_short(result):
    use = {(r["row"], r["max_in_flight"]): r["use"] for r in result["rows"]}
    rows = [[str(limit), *(f"{use[f'600 uploads, L = {limit}', places] * limit / 0.2:.0f}" for places in ("4", "auto")), f"{limit / 0.2:.0f}"] for limit in (5, 10, 25)]
    return ["", "Uploads a second where Zoho lets L calls in at once, each of 200 ms:", "", *table(["L", "`max_in_flight` = 4", "`auto`", "the most there can be"], rows)]


def million(result):
    """What bench/million.py has measured."""
    rows = [[r["batch"], f"{r['wall_us'] * r['steps'] / 1e6:.1f} s", f"{r['cpu_us']:.1f} µs", f"{r['wall_us']:.1f} µs", f"{r['peak_mib']:.1f} MiB", f"{r['journal']:.0f} bytes"]
            for r in result["rows"]]
    return ["", f"`make bench-million`, measured {result['date']} on {result['cores']} cores with a load of {result['load']}: a batch of uploads of 1 KB by {result['scheme']} that asks for its "
            "steps, eight at once,", "with a journal; and the same again when its journal has all of it done.", "",
            *table(["batch of", "time", "CPU a step", "time a step", "peak over idle", "journal a step"], rows)]


def chart(result):
    """Bars of CPU time, libcurl at 1; what doesn't fit is cut off, with its figure."""
    found = {(r["workload"], r["client"]): r["cpu"] for r in result["ratios"] if r["scheme"] == "https"}
    left, unit, most, bar, gap = 270, 200, 2.2, 15, 14
    parts, y = [], 44
    for work in FIVE:
        clients = [c for c in CHARTED if (work, c) in found]
        parts.append(f'<text x="{left - 12}" y="{y + len(clients) * bar / 2 + 5:.1f}" text-anchor="end">{html.escape(work)}</text>')
        for client in clients:
            value = found[work, client]
            parts.append(f'<rect x="{left}" y="{y}" width="{min(value, most) * unit:.1f}" height="{bar - 3}" fill="{CHARTED[client]}"/>')
            parts.append(f'<text x="{left + min(value, most) * unit + 6:.1f}" y="{y + 10}" font-size="11">{short(value)}{" →" if value > most else ""}</text>')
            y += bar
        y += gap
    legend, x = [], left
    for client, colour in CHARTED.items():
        legend.append(f'<rect x="{x}" y="12" width="10" height="10" fill="{colour}"/><text x="{x + 14}" y="21" font-size="12">{client}</text>')
        x += 32 + 7 * len(client)
    width, height = x + 10, y + 20
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        'aria-label="CPU time of each client relative to libcurl" font-family="system-ui,Helvetica,Arial,sans-serif" font-size="13" fill="#22262e">',
        '<rect width="100%" height="100%" rx="8" fill="#ffffff"/>', *legend, *parts,
        f'<line x1="{left + unit}" x2="{left + unit}" y1="36" y2="{y}" stroke="#22262e" stroke-dasharray="3 3"/>',
        f'<text x="{left + unit}" y="{y + 14}" text-anchor="middle" font-size="12">CPU time of libcurl = 1</text>', "</svg>"]) + "\n"


def between(path, text):
    """The file with the text in the place of what stands between its two markers."""
    begin, end = "<!-- written by bench/report.py -->\n", "<!-- until here -->"
    head, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        sys.exit(f"report: {path} lacks the markers {begin.strip()} and {end}")
    return head + begin + "\n" + text + "\n" + end + tail


def write(result, check=False):
    places, steps = (json.loads(path.read_text(encoding="utf-8")) for path in (PLACES, MILLION))
    tables, short_ones = "\n".join(concurrency(places) + million(steps)) + "\n", "\n".join(concurrency_in_short(places)) + "\n"
    wanted = {TABLES: between(TABLES, markdown(result) + tables), README: between(README, five(result) + short_ones), CHART: chart(result)}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if check:
        if stale:
            sys.exit(f"report: run bench/report.py: {', '.join(str(p.relative_to(HERE.parent)) for p in stale)} isn't what bench/figures.json, concurrency.json and million.json give")
        return
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")


if __name__ == "__main__":
    write(json.loads(FIGURES.read_text(encoding="utf-8")), check=sys.argv[1:] == ["--check"])

"""Checks the Prometheus rules, the dashboard and the metrics with Prometheus itself, which scrapes the demo.

    python check.py PROGRAM

Needs promtool and prometheus (Debian's package prometheus). All servers listen on 127.0.0.1 and end with the check.
"""

import contextlib
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "monitoring"
METRIC = re.compile(r"\b(?:github_runner|runner_monitor)\w*")
# The demo has runners, but no pool, and no version that ends.
WITHOUT_SAMPLES = {"runner_monitor_pool_online_runners", "runner_monitor_pool_runners", "runner_monitor_pool_wanted_runners",
                   "runner_monitor_version_end_timestamp_seconds"}
WITHIN_SECS = 30
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def promtool(*words, given=None):
    """Runs promtool and returns what it prints."""
    done = subprocess.run(["promtool", *words], input=given, cwd=FOLDER, capture_output=True, text=True, timeout=WITHIN_SECS)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, f"promtool {' '.join(words)}:\n{printed}"
    return printed


def get(url):
    with urllib.request.urlopen(url, timeout=WITHIN_SECS) as answer:
        return answer.headers["content-type"], answer.read().decode()


def until(what, question):
    """Asks until the answer is true, and returns it."""
    deadline, last = time.monotonic() + WITHIN_SECS, None
    while time.monotonic() < deadline:
        try:
            if answer := question():
                return answer
        except OSError as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"not within {WITHIN_SECS} s: {what} {last or ''}")


@contextlib.contextmanager
def running(*command, **options):
    child = subprocess.Popen(command, text=True, **options)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def demo(program):
    """The demo, with the address of its page."""
    with running(program, "demo", "--forever", "--web", "127.0.0.1:0", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        found = next((match[1] for line in child.stdout if (match := re.search(r"page is at http://(\S+)/", line))), None)
        assert found, "the demo said no address"
        # A full pipe would stop it.
        threading.Thread(target=child.stdout.read, daemon=True).start()
        yield found


@contextlib.contextmanager
def prometheus(address):
    """A Prometheus with the README's configuration, apart from the address and the interval."""
    (configuration,) = re.findall(r"```yaml\n(.*?)```", (FOLDER / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for of_readme, here in (("127.0.0.1:8080", address), ("scrape_interval: 1m", "scrape_interval: 1s")):
        assert of_readme in configuration, f"README.md has no {of_readme}"
        configuration = configuration.replace(of_readme, here)
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
        unused.close()
        file = pathlib.Path(folder, "prometheus.yml")
        file.write_text("global: {evaluation_interval: 1s}\n" + configuration, encoding="utf-8")
        shutil.copy(FOLDER / "rules.yaml", folder)
        promtool("check", "config", str(file))
        with open(pathlib.Path(folder, "log"), "w+", encoding="utf-8") as log, running(
                "prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}", stdout=log, stderr=log) as child:
            url = f"http://127.0.0.1:{port}"
            try:
                until("Prometheus is ready", lambda: child.poll() is None and get(f"{url}/-/ready"))
            except AssertionError:
                log.seek(0)
                print(log.read(), file=sys.stderr)
                raise
            yield url


def ask(url, path, **parameters):
    _, body = get(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
    answer = json.loads(body)
    assert answer["status"] == "success", answer
    return answer["data"]


def samples(url, query):
    return ask(url, "query", query=query)["result"]


def check_format(text):
    """Returns the names of all metrics. promtool does not see two samples of one series."""
    advice = promtool("check", "metrics", given=text)
    assert not advice, f"promtool check metrics:\n{advice}"
    series = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    twice = {each for each in series if series.count(each) > 1}
    assert not twice, f"series with two samples: {twice}"
    return set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))


def check_tests():
    """promtool passes a rule without a test."""
    rules, tests = ((FOLDER / file).read_text(encoding="utf-8") for file in ("rules.yaml", "rules.test.yaml"))
    for name in re.findall(r"- alert: (\w+)", rules):
        assert re.search(rf"alertname: {name}\n +exp_alerts:", tests), f"no test in which {name} fires"
        assert re.search(rf"alertname: {name}}}", tests), f"no test in which {name} is silent"


def queries(dashboard):
    """The queries of each panel, with a value for the variables."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$target", ".*")
            assert "$" not in query, f"{panel['title']}: a variable without a value here: {query}"
            yield panel["title"], query


def check_dashboard(dashboard):
    """What Grafana would show as a broken or hidden panel."""
    assert dashboard["uid"] == "github-runner-monitor"
    assert [each["name"] for each in dashboard["templating"]["list"]] == ["datasource", "target"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)), "two panels have one id"
    taken = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, f"{panel['title']} is wider than the dashboard"
        for each in [panel, *panel["targets"]]:
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            assert cell not in taken, f"{panel['title']} covers {taken[cell]}"
            taken[cell] = panel["title"]


def check_names(names, dashboard):
    """Every metric in the rules, their tests and the dashboard is one of the program."""
    texts = {file: (FOLDER / file).read_text(encoding="utf-8") for file in ("rules.yaml", "rules.test.yaml")}
    variable = dashboard["templating"]["list"][1]
    assert variable["definition"] == variable["query"]["query"]
    texts["dashboard.json"] = "\n".join([variable["definition"], *(query for _, query in queries(dashboard))])
    for file, text in texts.items():
        unknown = set(METRIC.findall(text)) - names
        assert not unknown, f"{file} has metrics that the program does not: {unknown}"
    unknown = WITHOUT_SAMPLES - names
    assert not unknown, f"no longer metrics of the program: {unknown}"


def check_answers(url, address, dashboard):
    """The scrape succeeded, every rule is evaluated, and every query of the dashboard finds something."""
    runners = until("github_runner_up has samples", lambda: samples(url, "github_runner_up"))
    assert {"target", "runner", "os", "id"} <= runners[0]["metric"].keys(), runners[0]
    (target,) = ask(url, "targets")["activeTargets"]
    assert target["labels"]["instance"] == address and target["health"] == "up" and not target["lastError"], target
    rules = until("every rule is evaluated, and the demo's offline runner is found", lambda: evaluated(url))
    faults = [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok" or rule.get("lastError")]
    assert not faults, faults
    for title, query in queries(dashboard):
        if set(METRIC.findall(query)) & WITHOUT_SAMPLES:
            assert not samples(url, query), f"{title}: the demo has samples for {query}: take its metric off WITHOUT_SAMPLES"
        else:
            until(f"{title}: a sample for {query}", lambda query=query: samples(url, query))
    return len(rules)


def evaluated(url):
    rules = [rule for group in ask(url, "rules")["groups"] for rule in group["rules"]]
    found = [rule["name"] for rule in rules if rule["state"] != "inactive"]
    return rules if "RunnerOffline" in found and all(rule["health"] != "unknown" for rule in rules) else None


def main(program):
    began = time.monotonic()
    missing = [tool for tool in ("promtool", "prometheus") if not shutil.which(tool)]
    if missing:
        sys.exit(f"{' and '.join(missing)} is missing: install the package prometheus")
    promtool("check", "rules", "rules.yaml")
    promtool("test", "rules", "rules.test.yaml")
    check_tests()
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    check_dashboard(dashboard)
    with demo(program) as address:
        media_type, text = until("the demo has runners", lambda: scrape(address))
        assert media_type == MEDIA_TYPE, media_type
        names = check_format(text)
        check_names(names, dashboard)
        with prometheus(address) as url:
            rules = check_answers(url, address, dashboard)
    print(f"monitoring: {len(names)} metrics, {rules} rules, {len(list(queries(dashboard)))} queries of the dashboard, "
          f"{time.monotonic() - began:.1f} s")


def scrape(address):
    media_type, text = get(f"http://{address}/metrics")
    # The offline runner of the demo's beginning.
    return (media_type, text) if re.search(r"^github_runner_up\{.*\} 0$", text, re.MULTILINE) else None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(str(pathlib.Path(sys.argv[1]).resolve()))

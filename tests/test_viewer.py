"The viewer in a real browser, served as a user would serve it."
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from covid_mtnet import cases

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)


def answers(address, port):
    with socket.socket() as s: s.settimeout(1); return s.connect_ex((address, port)) == 0


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    "`covid-mtnet view` with stored cases: its port and the folder of saved pictures."
    folder = tmp_path_factory.mktemp("view")
    with socket.socket() as s: s.bind(("127.0.0.1", 0)); port = s.getsockname()[1]
    for i, c in enumerate(cases.phantom_cases(96, 4)): cases.store(c, folder / "cases" / str(i) / "view.npz")
    command = [sys.executable, "-m", "covid_mtnet.cli", "view", str(folder / "cases"), "--out", str(folder / "out"),
               "--port", str(port), "--no-browser"]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    until = time.time() + 60
    while not answers("127.0.0.1", port) and time.time() < until and server.poll() is None: time.sleep(.3)
    assert answers("127.0.0.1", port), (folder / "log").read_text()
    yield port, folder / "out"
    os.killpg(server.pid, signal.SIGTERM); server.wait(20)


@pytest.fixture(scope="module")
def page(served):
    "The page in headless Chromium, which asks no other server than its own."
    if not CHROMIUM: pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page, abroad = browser.new_page(viewport={"width": 900, "height": 900}), []
        page.set_default_timeout(120_000)  # Two cores may be busy with other tests
        home = (f"http://127.0.0.1:{served[0]}/", "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(home) else abroad.append(r.url))
        page.on("requestfailed", lambda r: abroad.remove(r.url) if r.failure == "csp" else None)
        page.goto(f"http://127.0.0.1:{served[0]}/", timeout=120_000)
        page.wait_for_selector("b.percent", timeout=120_000)
        yield page
        assert not abroad
        browser.close()


def handle(page, name):
    found = page.locator(".widget-slider", has_text=name).locator(".noUi-handle")
    found.wait_for()
    return found


def press_until(page, name, shown, arg=None, patience=10_000):
    "The right arrow on a slider; again where it came before the slider was drawn anew, as it is after a choice."
    from playwright.sync_api import TimeoutError
    for _ in range(12):
        handle(page, name).press("ArrowRight")
        try: return page.wait_for_function(shown, arg=arg, timeout=patience)
        except TimeoutError: pass
    raise AssertionError(f"12 times the right arrow on {name}, and not: {shown}")


def percent(page): return float(re.match(r"[\d.]+", page.inner_text("b.percent"))[0])


def test_listens_on_this_machine_only(served):
    others = {a[4][0] for a in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try: s.connect(("192.0.2.1", 9)); others.add(s.getsockname()[0])
        except OSError: pass
    if not (others := {a for a in others if not a.startswith("127.")}): pytest.skip("this machine has no other address")
    assert answers("127.0.0.1", served[0]) and not any(answers(a, served[0]) for a in others)


def test_an_image_is_chosen_the_threshold_moved_and_the_percentage_follows(page, tmp_path):
    assert "not a diagnosis" in page.inner_text("body") and "quantification" not in page.inner_text("body")
    first = page.inner_text("b.percent")
    page.select_option("select", label="X-ray phantom, 55 % infected")
    page.wait_for_function("was => document.querySelector('b.percent').innerText != was", arg=first)
    default = percent(page)
    less = "was => parseFloat(document.querySelector('b.percent').innerText) < was"
    press_until(page, "threshold", less, default, patience=2_000)
    assert percent(page) < default and "threshold" in page.inner_text("body")
    page.screenshot(path=os.environ.get("COVID_MTNET_SCREENSHOT") or tmp_path / "viewer.png")


def test_a_volume_is_stepped_through_measured_and_saved(page, served):
    page.select_option("select", label="CT phantom, a volume")
    page.wait_for_selector("text=slice 2 of 4")
    press_until(page, "slice", "() => document.body.innerText.includes('slice 3 of 4')")
    page.click("text=measure all slices")
    page.wait_for_selector("b.total")
    assert " ml" in page.inner_text("b.total")
    page.click("text=save this view")
    page.wait_for_selector("p.saved")
    assert [p.name for p in served[1].iterdir()][0].startswith("CT_phantom__a_volume_003_")

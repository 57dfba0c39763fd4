"""The built site in a browser: headless Chromium, driven by selenium, on localhost."""

import json
import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
WIDE, NARROW = (1280, 900), (390, 844)


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser with an empty profile."""
    names = ("chromium", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    driver_program = shutil.which("chromedriver")
    if not (program and driver_program):
        left_out = (
            pytest.fail
            if os.environ.get("SKDEC_BROWSER") == "required"
            else pytest.skip
        )
        left_out("no browser: chromium and chromedriver are not both installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(driver_program)
    )
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(site):
    """Every page of the site, relative to it."""
    found = [path.relative_to(site) for path in sorted(site.rglob("*.html"))]
    return [path.as_posix() for path in found if path.parts[0] != "_static"]


def resize(browser, size):
    """Give the page itself a size, whatever the window's frame."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {
            "width": size[0],
            "height": size[1],
            "deviceScaleFactor": 1,
            "mobile": size == NARROW,
        },
    )


def wait(browser, condition):
    """What a condition gives, once that is something."""
    return WebDriverWait(browser, 20).until(condition)


def ready(browser):
    """Whether the page is there, with its formulas."""
    return browser.execute_script(
        "return document.readyState == 'complete' && (!window.MathJax ||"
        " (MathJax.startup && MathJax.startup.promise && document.querySelectorAll("
        "'.math').length == document.querySelectorAll('.math mjx-container').length))"
    )


def requests(browser):
    """The addresses asked for since the last call."""
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            yield message["params"]["request"]["url"]


# what sticks out of the page in no box that scrolls
CUT_OFF = """
const width = document.documentElement.clientWidth;
const scrolls = n => ['auto', 'scroll'].includes(getComputedStyle(n).overflowX);
const inBox = n => n.parentElement &&
  (scrolls(n.parentElement) || inBox(n.parentElement));
return [...document.querySelectorAll('main *')].filter(n => {
  const box = n.getBoundingClientRect();
  const out = box.width && (box.right > width + 1 || box.left < -1);
  return out && !n.closest('mjx-assistive-mml, .sd-stretched-link') && !inBox(n);
}).map(n => 'cut off: ' + n.tagName + ' ' + n.textContent.trim().slice(0, 40));
"""


# what scrolling does not reach: left of where a formula's box begins
LEFT = """
const left = n => n.getBoundingClientRect().left;
return [...document.querySelectorAll('div.math')].filter(n =>
  [...n.querySelectorAll('mjx-mi, mjx-mo')].some(m => left(m) < left(n) - 1)
).map(n => 'a formula that begins outside of its box');
"""


# text of too little contrast with what is behind it: 4.5 is asked for, and 3 of large
# letters (WCAG, level AA)
FAINT = """
const numbers = text => text.match(/[\\d.]+/g).map(Number);
const opacity = c => c.length > 3 ? c[3] : 1;
const colour = n => numbers(getComputedStyle(n).color);
const ground = n => {
  const c = numbers(getComputedStyle(n).backgroundColor);
  if (opacity(c) == 1) return c;
  return over(c, n.parentElement ? ground(n.parentElement) : [255, 255, 255]);
};
const over = (c, below) => [0, 1, 2].map(
  i => opacity(c) * c[i] + (1 - opacity(c)) * below[i]);
const luminance = c => {
  const l = c.slice(0, 3).map(v => v / 255).map(
    v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2];
};
const contrast = n => {
  const behind = ground(n);
  const two = [luminance(over(colour(n), behind)), luminance(behind)];
  return (Math.max(...two) + 0.05) / (Math.min(...two) + 0.05);
};
const large = n => {
  const look = getComputedStyle(n), size = parseFloat(look.fontSize);
  return size >= 24 || (size >= 18.66 && look.fontWeight >= 700);
};
const written = n => n.matches('mjx-math') || [...n.childNodes].some(
  c => c.nodeType == Node.TEXT_NODE && c.textContent.trim());
return [...document.querySelectorAll('body *')].filter(
  n => written(n) && n.checkVisibility() && n.getBoundingClientRect().width > 1
    && contrast(n) < (large(n) ? 3 : 4.5)
).map(n => `faint (${contrast(n).toFixed(2)}): ${n.tagName}.${n.className} `
  + n.textContent.trim().slice(0, 40));
"""


def faults(browser, width):
    """What is wrong with the page that the browser shows at a width."""
    found = browser.execute_script("return document.documentElement.scrollWidth")
    if found > width:
        yield f"{found} pixels wide at {width}"
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('mjx-container')]"
        ".map(m => m.getBoundingClientRect()).map(r => [r.width, r.height])"
    )
    yield from browser.execute_script(CUT_OFF)
    yield from browser.execute_script(LEFT)
    if any(min(box) < 4 for box in boxes):
        yield "an empty formula"
    if browser.find_elements(By.CSS_SELECTOR, "mjx-merror"):
        yield "a formula that is not understood"
    yield from browser.execute_script(
        "return [...document.images].filter(i => i.loading != 'lazy' &&"
        " !(i.complete && i.naturalWidth)).map(i => 'no picture ' + i.src)"
    )


def faint(browser, mode):
    """The text of a page that can hardly be read."""
    browser.execute_script(f"document.documentElement.dataset.theme = '{mode}'")
    return browser.execute_script(FAINT)


def test_every_page(browser, address, pages):
    list(requests(browser)), browser.get_log("browser")
    found, formulas = [], 0
    for page in pages:
        browser.get(f"{address}/{page}")
        wait(browser, ready)
        formulas += len(browser.find_elements(By.TAG_NAME, "mjx-container"))
        for size in (NARROW, WIDE):
            resize(browser, size)
            found += [f"{page}: {fault}" for fault in faults(browser, size[0])]
            for mode in ("light", "dark"):
                found += [f"{page}, {mode}: {text}" for text in faint(browser, mode)]
        for entry in browser.get_log("browser"):
            if entry["level"] in ("SEVERE", "WARNING"):
                found.append(f"{page}: {entry['message']}")
    for url in requests(browser):
        parts = urlsplit(url)
        local = parts.scheme in ("data", "blob", "chrome")
        if not local and parts.hostname != "127.0.0.1":
            found.append(f"asked for {url}")
    assert found == []
    assert formulas > 300


# the box that scrolls, of each table of words in which something would be out of sight
HIDDEN_WORDS = """
return [...document.querySelectorAll('table.of-words')].filter(n => {
  for (let box = n; box; box = box.parentElement)
    if (box.scrollWidth > box.clientWidth + 1) return true;
}).map(n => n.textContent.trim().slice(0, 40));
"""


@pytest.mark.parametrize("page", ["which_estimator", "coming_from", "deep", "index"])
def test_tables_of_words_are_read_without_scrolling_sideways(browser, address, page):
    resize(browser, NARROW)
    browser.get(f"{address}/{page}.html")
    wait(browser, ready)
    tables = browser.find_elements(By.CSS_SELECTOR, "table.of-words")
    assert tables
    assert browser.execute_script(HIDDEN_WORDS) == []
    # what each entry is, is said beside it
    said = "return getComputedStyle(arguments[0], '::before').content"
    entries = "td:not(:first-child, .blank)"
    for cell in tables[0].find_elements(By.CSS_SELECTOR, entries):
        assert browser.execute_script(said, cell).endswith(': "')


def test_names_of_parameters_are_not_broken(browser, address):
    resize(browser, NARROW)
    browser.get(f"{address}/api/generated/skdec.ExactTSNE.html")
    wait(browser, ready)
    names = browser.find_elements(By.CSS_SELECTOR, "dl.field-list dd dt strong")
    assert len(names) > 20
    line = max(name.size["height"] for name in names if name.text == "tol")
    assert [n.text for n in names if n.size["height"] > 1.5 * line] == []


def test_search_finds_the_estimator(browser, address):
    resize(browser, WIDE)
    browser.get(f"{address}/index.html")
    wait(browser, ready)
    button = browser.find_element(By.CSS_SELECTOR, "button.search-button__button")
    button.click()
    shown = "return document.querySelector('dialog[open] input[name=q]')"
    field = wait(browser, lambda b: b.execute_script(shown))
    field.send_keys("ExactTSNE", Keys.ENTER)
    page = "#search-results li a[href*='generated/skdec.ExactTSNE.html']"
    assert wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, page))


def test_copy_buttons_copy(browser, address):
    resize(browser, WIDE)
    browser.get(f"{address}/index.html")
    wait(browser, ready)
    block = browser.find_element(By.CSS_SELECTOR, "div.highlight")
    code = block.find_element(By.TAG_NAME, "pre").get_attribute("textContent")
    button = wait(
        browser, lambda b: block.find_elements(By.CSS_SELECTOR, "button.copybtn")
    )[0]
    ActionChains(browser).move_to_element(block).click(button).perform()
    wait(browser, lambda b: "success" in button.get_attribute("class"))
    # a place of our own to paste into
    browser.execute_script(
        "const area = document.createElement('textarea');"
        "area.id = 'pasted'; document.querySelector('article').prepend(area)"
    )
    area = browser.find_element(By.ID, "pasted")
    area.send_keys(Keys.CONTROL, "v")
    pasted = wait(browser, lambda b: area.get_property("value"))
    assert pasted.strip() == code.strip() != ""

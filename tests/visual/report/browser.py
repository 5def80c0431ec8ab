"""A headless Chromium, where one is installed."""

import shutil
from pathlib import Path
from typing import Any

import pytest

WIDTHS = {1280: 900, 390: 844}  # of a screen and of a phone, with their heights


def start_browser() -> Any:
    """Selenium's driver of Chromium; skips, and says why, where something is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("Chromium and its driver are not installed (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def open_page(browser: Any, page: Path, width: int = 1280, dark: bool = False) -> None:
    """Open a file on a screen of some width."""
    media = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    screen = {"width": width, "height": WIDTHS[width], "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 1, "y": 1})  # over nothing
    browser.get(page.resolve().as_uri())
    browser.set_script_timeout(20)
    # Charts and the matrix are drawn in the frame after the one in which they are measured.
    browser.execute_async_script(
        "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[0], 0)))"
    )


def complaints(browser: Any) -> list[str]:
    """Errors and warnings of the console since the last call."""
    return [entry["message"] for entry in browser.get_log("browser")]

"""Headless Chromium that reaches no network, and what it says of a page."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

OFFLINE = (
    "--headless",
    "--no-sandbox",  # it refuses to be root with one
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


class Browser:
    """One tab.

    Attributes:
        driver: selenium's.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, *, width: int, theme: str, height: int = 900) -> None:
        """Open a file of the disk as if on a screen this wide, in CSS pixels."""
        self.driver.get("about:blank")
        self.console()
        self.requests()
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._do("Emulation.setDeviceMetricsOverride", **screen)
        self._do(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": theme}],
        )
        self.driver.get(page.resolve().as_uri())

    def ask(self, script: str) -> Any:
        """What a script that ends in a return gives."""
        return self.driver.execute_script(script)

    def console(self) -> list[str]:
        """Messages since it was last asked, errors of the security policy among them."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses asked for since it was last asked, whether or not they answered."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = (e["params"] for e in events if e["method"] == "Network.requestWillBeSent")
        return [one["request"]["url"] for one in sent]

    def shoot(self, target: Path) -> None:
        """Save a picture of the whole page."""
        size = self._do("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self._do("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        target.write_bytes(base64.b64decode(shot["data"]))

    def print(self, target: Path) -> None:
        """Save it as it would be printed, on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
        target.write_bytes(base64.b64decode(self._do("Page.printToPDF", **paper)["data"]))

    def _do(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)


@contextmanager
def browser() -> Iterator[Browser]:
    """A fresh Chromium, ended with the body."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with TemporaryDirectory(prefix="un-deploy-", ignore_cleanup_errors=True) as profile:
        for flag in (*OFFLINE, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(str(which("chromedriver")))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            yield Browser(driver)
        finally:
            driver.quit()

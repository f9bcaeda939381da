"""`finn-cam report`: what the last build of a config found."""

import json

from finn_build.cli.build import ConfigArgument, JsonOption, OutOption
from finn_build.cli.console import standard_output
from finn_build.conclude import REPORT_HTML, REPORT_JSON
from finn_build.config import load_config
from finn_build.environment import default_build_folder
from finn_build.report.files import read_report
from finn_build.report.terminal import render


def report(config: ConfigArgument = "resnet8_5w5a", out: OutOption = None, as_json: JsonOption = False) -> int:
    """Show the report of CONFIG's last build."""
    folder = (out or default_build_folder()) / load_config(config).name
    found = read_report(folder / REPORT_JSON)
    if as_json:
        print(json.dumps(found.model_dump(mode="json", by_alias=True)))
        return 0
    console = standard_output()
    console.print(render(found))
    console.print(f"the whole report: {folder / REPORT_HTML}")
    return 0

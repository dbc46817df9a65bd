"""Makes the XML of each step of a production as CTADIRAC's cta-prod-submit does, with CTADIRAC.

make_productions.py PRODUCTION.yml [NAME=QUERY.json …]: what DIRAC's file catalogue has of datasets.
"""

import json
import sys
from pathlib import Path

from CTADIRAC.ProductionSystem.Client import WorkflowElement
from ruamel.yaml import YAML

path = Path(sys.argv[1])
datasets = dict(word.split("=", 1) for word in sys.argv[2:])
WorkflowElement.get_dataset_MQ = lambda name: json.loads(Path(datasets[name]).read_text())
told = YAML(typ="safe", pure=True).load(path)
made = {}
for step in told["ProdSteps"]:
    parent = made.get(step["input_meta_query"].get("parentID"))
    element = WorkflowElement.WorkflowElement(parent, step["job_config"]["type"].lower())
    element.build_input_data(step)
    element.build_job_attributes(told, step)
    element.build_job_output_data(step)
    element.build_element_config(step)
    element.build_output_data()
    made[step["ID"]] = element.prod_step
    path.with_name(f"{path.stem}.{step['ID']}.xml").write_text(element.prod_step.Body)

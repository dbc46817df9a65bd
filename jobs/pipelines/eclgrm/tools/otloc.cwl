{
  "cwlVersion": "v1.2",
  "class": "CommandLineTool",
  "id": "otloc",
  "label": "Trigger, confidence and position",
  "baseCommand": [
    "eclgrm",
    "otloc"
  ],
  "arguments": [
    "--quiet"
  ],
  "inputs": {
    "burst": {
      "type": "File",
      "inputBinding": {
        "position": 1
      },
      "doc": "Burst file: photons of all detectors."
    },
    "instrument": {
      "type": "string",
      "inputBinding": {
        "prefix": "--instrument"
      },
      "doc": "ECL or GRM."
    },
    "trigdat": {
      "type": "File?",
      "inputBinding": {
        "prefix": "--trigdat"
      },
      "doc": "Trigger data of a burst of GBM."
    },
    "configuration": {
      "type": "File?",
      "inputBinding": {
        "prefix": "--config"
      },
      "doc": "Settings, JSON or YAML with a section a task."
    },
    "settings": {
      "type": [
        "null",
        {
          "type": "array",
          "items": "string",
          "inputBinding": {
            "prefix": "--set"
          }
        }
      ],
      "doc": "Changes of settings, TASK.KEY=VALUE (eclgrm config lists them)."
    }
  },
  "outputs": {
    "trigger": {
      "type": "File",
      "outputBinding": {
        "glob": "TT_*.fits"
      },
      "doc": "Trigger time."
    },
    "confidence": {
      "type": "File",
      "outputBinding": {
        "glob": "QCL_*.fits"
      },
      "doc": "Quick confidence level."
    },
    "position": {
      "type": "File",
      "outputBinding": {
        "glob": "QPO_*.fits"
      },
      "doc": "Quick position."
    },
    "picture": {
      "type": "File?",
      "outputBinding": {
        "glob": "*.png"
      },
      "doc": "Quick-look picture."
    },
    "record": {
      "type": "File?",
      "outputBinding": {
        "glob": "eclgrm-*.prov.json"
      },
      "doc": "What the tool recorded of itself, unless PROV_RUN_FILE sent it elsewhere."
    }
  }
}

{
  "cwlVersion": "v1.2",
  "class": "CommandLineTool",
  "id": "rsp",
  "label": "Responses to the burst's position",
  "baseCommand": [
    "eclgrm",
    "rsp"
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
    "positions": {
      "type": [
        "null",
        {
          "type": "array",
          "items": "File",
          "inputBinding": {
            "prefix": "--position"
          }
        }
      ],
      "doc": "Quick positions."
    },
    "matrices": {
      "type": [
        "null",
        {
          "type": "array",
          "items": "File",
          "inputBinding": {
            "prefix": "--matrix"
          }
        }
      ],
      "doc": "Calibrated responses of the mission."
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
    "response": {
      "type": "File",
      "outputBinding": {
        "glob": "RSP_*.fits"
      },
      "doc": "Responses."
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

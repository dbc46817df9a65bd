{
  "cwlVersion": "v1.2",
  "class": "CommandLineTool",
  "id": "qspec",
  "label": "Spectrum of all detectors",
  "baseCommand": [
    "eclgrm",
    "qspec"
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
    "durations": {
      "type": {
        "type": "array",
        "items": "File",
        "inputBinding": {
          "prefix": "--durations"
        }
      },
      "doc": "T90 and T50 of each instrument."
    },
    "responses": {
      "type": {
        "type": "array",
        "items": "File",
        "inputBinding": {
          "prefix": "--response"
        }
      },
      "doc": "Responses of each instrument."
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
    "spectrum": {
      "type": "File",
      "outputBinding": {
        "glob": "QSP_*.fits"
      },
      "doc": "Quick spectrum."
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

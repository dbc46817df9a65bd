{
  "cwlVersion": "v1.2",
  "class": "CommandLineTool",
  "id": "qtemp",
  "label": "Light curves, durations, peak fluxes",
  "baseCommand": [
    "eclgrm",
    "qtemp"
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
    "trigger": {
      "type": "File",
      "inputBinding": {
        "prefix": "--trigger"
      },
      "doc": "Trigger time."
    },
    "response": {
      "type": "File?",
      "inputBinding": {
        "prefix": "--response"
      },
      "doc": "Responses."
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
    "onboard_light_curve": {
      "type": "File",
      "outputBinding": {
        "glob": "OBLC_*.fits"
      },
      "doc": "On-board light curve."
    },
    "light_curve": {
      "type": "File",
      "outputBinding": {
        "glob": "QLC_*.fits"
      },
      "doc": "Quick light curve."
    },
    "peak_flux": {
      "type": "File",
      "outputBinding": {
        "glob": "QPF_*.fits"
      },
      "doc": "Quick peak flux."
    },
    "durations": {
      "type": "File",
      "outputBinding": {
        "glob": "QT90_*.fits"
      },
      "doc": "T90 and T50."
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

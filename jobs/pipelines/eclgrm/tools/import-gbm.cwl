{
  "cwlVersion": "v1.2",
  "class": "CommandLineTool",
  "id": "import-gbm",
  "label": "Make a burst file of event files of Fermi GBM",
  "baseCommand": [
    "eclgrm",
    "import-gbm"
  ],
  "arguments": [
    "--quiet"
  ],
  "inputs": {
    "events": {
      "type": {
        "type": "array",
        "items": "File"
      },
      "inputBinding": {
        "position": 1
      },
      "doc": "TTE files, one a detector."
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
    "burst": {
      "type": "File",
      "outputBinding": {
        "glob": "BURST_*.fits"
      },
      "doc": "Burst file."
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

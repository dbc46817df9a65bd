{
  "cwlVersion": "v1.2",
  "class": "CommandLineTool",
  "id": "class",
  "label": "Class of the burst",
  "baseCommand": [
    "eclgrm",
    "class"
  ],
  "arguments": [
    "--quiet"
  ],
  "inputs": {
    "durations": {
      "type": {
        "type": "array",
        "items": "File",
        "inputBinding": {
          "prefix": "--durations"
        }
      },
      "doc": "T90 and T50."
    },
    "hardness": {
      "type": {
        "type": "array",
        "items": "File",
        "inputBinding": {
          "prefix": "--hardness"
        }
      },
      "doc": "Hardness ratios."
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
    "burst_class": {
      "type": "File",
      "outputBinding": {
        "glob": "CRCLASS_*.fits"
      },
      "doc": "Class of the burst."
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

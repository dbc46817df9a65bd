{
  "cwlVersion": "v1.2",
  "class": "CommandLineTool",
  "id": "simulate",
  "label": "Simulate a burst as ECLAIRs and GRM would record it",
  "baseCommand": [
    "eclgrm",
    "simulate"
  ],
  "arguments": [
    "--quiet"
  ],
  "inputs": {
    "seed": {
      "type": "int?",
      "inputBinding": {
        "prefix": "--seed"
      },
      "doc": "Random seed."
    },
    "profile": {
      "type": "File?",
      "inputBinding": {
        "prefix": "--profile"
      },
      "doc": "BATSE 64-ms light curve to take the profile from."
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

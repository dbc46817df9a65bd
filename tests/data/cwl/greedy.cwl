cwlVersion: v1.2
class: Workflow
inputs: {}
outputs:
  out: {type: File, outputSource: modest/out}
steps:
  greedy:
    run: shell.cwl
    requirements: {ResourceRequirement: {coresMin: 100000}}
    in: {script: {default: "true"}}
    out: [out]
  modest:
    run: shell.cwl
    in: {script: {default: "true"}}
    out: [out]

cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {words: "string[]"}
outputs:
  said: {type: "File[]", outputSource: say/out}
steps:
  say:
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'sleep 0.2; echo $0']
      inputs: {word: {type: string, inputBinding: {position: 1}}}
      stdout: said.txt
      outputs: {out: stdout}
    scatter: word
    in: {word: words}
    out: [out]

cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c]
inputs:
  script: {type: string, inputBinding: {position: 1}}
  before: {type: File?, inputBinding: {position: 2}}
outputs: {out: stdout}
stdout: out.txt

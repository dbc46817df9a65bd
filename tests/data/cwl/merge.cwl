cwlVersion: v1.2
class: CommandLineTool
baseCommand: [cat]
inputs:
  texts: {type: "File[]", inputBinding: {position: 1}}
outputs: {merged: stdout}
stdout: merged.txt

# Two steps, the second on what the first made; both are shell commands.
cwlVersion: v1.2
class: Workflow
doc: Count the words of a text in upper case.
inputs:
  text: {type: File, doc: What to count in.}
  suffix: {type: string, default: "."}
outputs:
  count: {type: File, outputSource: count/out}
steps:
  shout:
    run:
      class: CommandLineTool
      baseCommand: [tr, a-z, A-Z]
      inputs: {text: File, suffix: string}
      stdin: $(inputs.text.path)
      stdout: $(inputs.text.nameroot)$(inputs.suffix)upper
      outputs: {out: stdout}
    in: {text: text, suffix: suffix}
    out: [out]
  count:
    run:
      class: CommandLineTool
      baseCommand: [wc, -w]
      inputs: {text: {type: File, inputBinding: {position: 1}}}
      stdout: count.txt
      outputs: {out: stdout}
    in: {text: shout/out}
    out: [out]

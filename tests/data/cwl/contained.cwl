# Two tools in a container: one of a shell, one that records itself with our capture.
cwlVersion: v1.2
class: Workflow
requirements:
  DockerRequirement: {dockerPull: "localhost/tools:1"}
  InlineJavascriptRequirement: {}
inputs:
  text: File
steps:
  count:
    run:
      class: CommandLineTool
      baseCommand: [wc, -w]
      inputs:
        text: File
      stdin: $(inputs.text.path)
      stdout: count.txt
      outputs:
        count: {type: stdout}
    in: {text: text}
    out: [count]
  fit:
    run:
      class: CommandLineTool
      baseCommand: [python, -c]
      arguments:
        - valueFrom: |
            import sys
            from provmanager import capture
            with capture.activity("fit", version="1") as run:
                words = open(run.input(sys.argv[1], role="counts")).read()
                open(run.output("fit.txt", role="fit"), "w").write(words * 2)
        - $(inputs.count.path)
      inputs:
        count: File
      outputs:
        fit: {type: File, outputBinding: {glob: fit.txt}}
    in: {count: count/count}
    out: [fit]
outputs:
  fit: {type: File, outputSource: fit/fit}

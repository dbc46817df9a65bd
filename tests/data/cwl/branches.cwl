# `fails` ends with the exit code that it is given while `slow` runs; `late` depends on `slow` alone.
cwlVersion: v1.2
class: Workflow
requirements: {StepInputExpressionRequirement: {}, InlineJavascriptRequirement: {}}
inputs: {code: int, seconds: {type: float, default: 0.3}}
outputs:
  s: {type: File?, outputSource: slow/out}
  l: {type: File?, outputSource: late/out}
  a: {type: File?, outputSource: after/out}
steps:
  slow:
    run: shell.cwl
    in:
      seconds: seconds
      script: {valueFrom: '$("sleep " + inputs.seconds + "; echo slow")'}
    out: [out]
  fails:
    run: shell.cwl
    in:
      code: code
      script: {valueFrom: '$("echo told; echo first reason >&2; echo last reason >&2; exit " + inputs.code)'}
    out: [out]
  late:
    run: shell.cwl
    in: {before: slow/out, script: {default: "cat $0; echo late"}}
    out: [out]
  after:
    run: shell.cwl
    in: {before: fails/out, script: {default: "cat $0; echo after"}}
    out: [out]

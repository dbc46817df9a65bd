# One tool that makes as many files as it takes.
cwlVersion: v1.2
class: CommandLineTool
baseCommand:
  - sh
  - -c
  - 'word=$0; for text; do test "$(cat "$text")" != fail || exit 3; { cat "$text"; echo "$word"; } >"$(basename "$text" .txt).marked"; done'
inputs:
  word: {type: string, inputBinding: {position: 1}}
  texts: {type: "File[]", inputBinding: {position: 2}}
outputs:
  marked: {type: "File[]", outputBinding: {glob: "*.marked"}}

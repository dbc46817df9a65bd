# Many features of CWL v1.2 in one packed document: what we make of it must be what cwltool makes.
cwlVersion: v1.2
$graph:
- id: main
  class: Workflow
  requirements:
    InlineJavascriptRequirement: {}
    MultipleInputFeatureRequirement: {}
    ScatterFeatureRequirement: {}
    StepInputExpressionRequirement: {}
    SubworkflowFeatureRequirement: {}
  inputs:
    text: {type: File, secondaryFiles: [.idx]}
    words: string[]
    numbers: int[]
    switch: boolean
    pair:
      type:
        type: record
        fields: {left: string, right: int}
  outputs:
    dot_out: {type: "File[]", outputSource: dot/out}
    nested_out: {type: {type: array, items: {type: array, items: File}}, outputSource: nested/out}
    flat_out: {type: "File[]", outputSource: flat/out}
    chosen_out: {type: File, outputSource: [taken/out, untaken/out], pickValue: the_only_non_null}
    some_out: {type: "Any[]", outputSource: filtered/out, pickValue: all_non_null}
    total_out: {type: int, outputSource: sum/total}
    inner_out: {type: "File[]", outputSource: inner/out}
    merged_out: {type: "string[]", outputSource: merged/texts}
    staged_out: {type: File, outputSource: staged/out}
    folder_out: {type: Directory, outputSource: folder/made}
    indexed_out: {type: File, secondaryFiles: [.idx], outputSource: copied/out}
    complaint_out: {type: File, outputSource: complain/err}
    code_out: {type: int, outputSource: complain/code}
    size_out: {type: int, outputSource: measured/size}
    through_out: {type: File, outputSource: text}
    nothing_out: {type: File?, outputSource: untaken/out}
  steps:
    dot:
      run: "#say"
      scatter: [word, number]
      scatterMethod: dotproduct
      in: {word: words, number: numbers}
      out: [out]
    nested:
      run: "#say"
      scatter: [word, number]
      scatterMethod: nested_crossproduct
      in: {word: words, number: numbers}
      out: [out]
    flat:
      run: "#say"
      scatter: [word, number]
      scatterMethod: flat_crossproduct
      in: {word: words, number: numbers}
      out: [out]
    taken:
      run: "#say"
      when: $(inputs.switch)
      in: {switch: switch, word: {valueFrom: yes}, number: {default: 1}}
      out: [out]
    untaken:
      run: "#say"
      when: $(!inputs.switch)
      in: {switch: switch, word: {valueFrom: no}, number: {default: 0}}
      out: [out]
    filtered:
      run: "#say"
      scatter: number
      when: $(inputs.number % 2 == 1)
      in: {word: {default: odd}, number: numbers}
      out: [out]
    sum:
      run: "#sum"
      in: {numbers: numbers, pair: pair}
      out: [total]
    inner:
      run: "#inner"
      scatter: word
      in: {word: words}
      out: [out]
    merged:
      run: "#texts"
      in:
        files: {source: [dot/out, flat/out], linkMerge: merge_flattened}
      out: [texts]
    staged:
      run: "#staged"
      in: {text: text}
      out: [out]
    folder:
      run: "#folder"
      in: {words: words}
      out: [made]
    copied:
      run: "#copied"
      in: {text: text}
      out: [out]
    complain:
      run: "#complain"
      in: {}
      out: [err, code]
    measured:
      run: "#measured"
      in: {text: text, name: {source: text, valueFrom: $(self.nameroot)}}
      out: [size]

- id: say
  class: CommandLineTool
  baseCommand: echo
  inputs:
    word: {type: string, inputBinding: {position: 1, prefix: --word=, separate: false}}
    number: {type: int, inputBinding: {position: 2}}
  arguments: [{position: 3, valueFrom: $(runtime.cores)}]
  stdout: $(inputs.word)-$(inputs.number).txt
  outputs: {out: stdout}

- id: sum
  class: ExpressionTool
  requirements: {InlineJavascriptRequirement: {expressionLib: ["function add(a, b) { return a + b; }"]}}
  inputs:
    numbers: int[]
    pair: Any
  outputs: {total: int}
  expression: '${ return {"total": inputs.numbers.reduce(add, inputs.pair.right)}; }'

- id: inner
  class: Workflow
  inputs: {word: string}
  outputs: {out: {type: File, outputSource: second/out}}
  steps:
    first:
      run: "#say"
      in: {word: word, number: {default: 1}}
      out: [out]
    second:
      run: "#sorted"
      in: {text: first/out}
      out: [out]

- id: sorted
  class: CommandLineTool
  baseCommand: sort
  inputs: {text: stdin}
  stdout: sorted.txt
  outputs: {out: stdout}

- id: texts
  class: CommandLineTool
  requirements: {InlineJavascriptRequirement: {}}
  baseCommand: [cat]
  inputs: {files: {type: "File[]", inputBinding: {position: 1}}}
  stdout: all.txt
  outputs:
    texts:
      type: string[]
      outputBinding: {glob: all.txt, loadContents: true, outputEval: '$(self[0].contents.trim().split("\n"))'}

- id: staged
  class: CommandLineTool
  requirements:
    InitialWorkDirRequirement:
      listing:
      - {entryname: run.sh, entry: "cat given.txt >> mine.txt; cat mine.txt"}
      - {entryname: given.txt, entry: $(inputs.text)}
      - {entryname: mine.txt, entry: "mine\n", writable: true}
  baseCommand: [sh, run.sh]
  inputs: {text: File}
  stdout: staged.txt
  outputs: {out: stdout}

- id: folder
  class: CommandLineTool
  requirements: {ShellCommandRequirement: {}, EnvVarRequirement: {envDef: {GREETING: hello}}}
  arguments: [{valueFrom: 'mkdir -p made/deep && echo "$GREETING" > made/deep/greeting && date +%Z > made/zone', shellQuote: false}]
  baseCommand: []
  inputs: {words: {type: "string[]"}}
  outputs: {made: {type: Directory, outputBinding: {glob: made}}}

- id: copied
  class: CommandLineTool
  requirements: {ShellCommandRequirement: {}}
  baseCommand: []
  arguments: [{valueFrom: "cp $(inputs.text.path) new.txt && cp $(inputs.text.path).idx new.txt.idx", shellQuote: false}]
  inputs: {text: {type: File, secondaryFiles: [.idx]}}
  outputs: {out: {type: File, secondaryFiles: [.idx], outputBinding: {glob: new.txt}}}

- id: complain
  class: CommandLineTool
  requirements: {InlineJavascriptRequirement: {}}
  baseCommand: [sh, -c, "echo complaint >&2; exit 3"]
  successCodes: [3]
  inputs: {}
  stderr: complaint.txt
  outputs:
    err: stderr
    code: {type: int, outputBinding: {outputEval: $(runtime.exitCode)}}

- id: measured
  class: CommandLineTool
  requirements: {InlineJavascriptRequirement: {}}
  baseCommand: [sh, -c, 'printf "{\"size\": $0}" > cwl.output.json']
  inputs:
    text: {type: File}
    name: {type: string}
  arguments: [$(inputs.text.size + inputs.name.length)]
  outputs: {size: int}

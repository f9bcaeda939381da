"""The stages of a build, a plain function each: typed inputs in, files below `out` and a `StageResult` back.

A stage reads only its arguments and writes only below `out`. Heavy packages (torch, brevitas, qonnx, finn) are imported
inside the functions, so that a build which reuses everything never loads them.
"""

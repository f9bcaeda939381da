"""From QONNX to a specialised dataflow graph with generated code: a module a pass group.

The order is frontend and tidy → streamline → lower → hardware → partition → widths → specialise → codegen. A pass takes
a model and returns a new one, with a report where there is something to tell; nothing here keeps state.
"""

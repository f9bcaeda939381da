"""What is compiled: from a QONNX graph to a verified dataflow accelerator, its report and its deployment package."""

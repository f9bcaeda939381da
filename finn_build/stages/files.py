"""Names of the files that stages hand to each other; here, so that naming a file does not mean depending on a stage."""

WEIGHTS = "network.safetensors"
GRAPH = "model.onnx"
HEAD, GOLDEN = "head.npz", "golden.npz"
PARENT, CHILD = "parent.onnx", "partition_0.onnx"
GENERIC, CONNECTED, FOLDING, FIFOS = "generic.onnx", "connected.onnx", "folding.json", "fifos.json"
NODES = "nodes"
SOURCES, COMPILED, EXAMPLES = "sources", "compiled", "examples"

"""What is learnt: quantised ResNets, data sets, training, checkpoints and QONNX export."""
